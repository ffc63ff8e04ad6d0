// @ts-check
// Looking before buying: the dialog with what may be shown of a layer.
import { get } from "../base/api.js";
import { make } from "../base/dom.js";
import { _, number, sentence, word } from "../base/i18n.js";
import { cloudPart, clipPart, coveragePart, factsPart, linesPart, stripPart } from "./parts.js";

/** @typedef {{close?: () => void, node: Node}} Part */
/** @type {any} */
let dialog = null;
/** @type {Part[]} */
let parts = [];

/** Open the preview of a layer, or of everything of a kind. @param {string} of "ORG/DATASET/VERSION/LAYER" @param {string} kind */
export const openPreview = (of, kind) => open(of ? showLayer(...address(of)) : showKind(kind));

/** @param {string} text @returns {[string, string, string, string]} */
function address(text) {
  const [org, dataset, version = "", layer = ""] = text.split("/");
  return [org, dataset, version, layer];
}

/** @param {Promise<Node[]>} content */
async function open(content) {
  dialog ??= made();
  leave();
  fill(make("p.muted", { role: "status" }, _("Loading …")));
  if (!dialog.open) dialog.showModal();
  try {
    fill(...(await content));
    dialog.dataset.ready = "yes";
  } catch (error) {
    fill(make("p.error", { role: "alert" }, sentence(error)));
  }
}

function made() {
  const close = make("button.close", { type: "button", "aria-label": _("Close"), title: _("Close"), onclick: () => dialog.close() }, "×");
  const title = make("h2", { id: "preview-title" }, _("Preview"));
  const box = make("dialog.preview", { "aria-labelledby": "preview-title" }, make("header.between", title, close), make("div.body"));
  box.addEventListener("close", leave);
  box.addEventListener("click", (/** @type {any} */ event) => event.target === box && box.close());
  document.body.append(box);
  return box;
}

function leave() {
  for (const part of parts) part.close?.();
  parts = [];
  delete dialog?.dataset.ready;
}

/** @param {...Node} nodes */
const fill = (...nodes) => dialog.querySelector(".body").replaceChildren(...nodes);

/** Everything of a kind that is on sale, one at a time. @param {string} kind @returns {Promise<Node[]>} */
async function showKind(kind) {
  const { layers } = await get(`/previews?kind=${encodeURIComponent(kind)}`);
  if (!layers.length) return [make("p.muted", _("Nothing of this kind is on sale."))];
  const first = layers[0];
  const content = make("div");
  const show = async (/** @type {any} */ one) => {
    leave();
    content.replaceChildren(...(await showLayer(one.org, one.dataset, String(one.version), one.layer)));
    dialog.dataset.ready = "yes";
  };
  const choice = make("select", {
    "aria-label": _("Dataset"),
    onchange: (/** @type {any} */ event) =>
      show(layers[Number(event.target.value)]).catch((error) =>
        content.replaceChildren(make("p.error", { role: "alert" }, sentence(error))),
      ),
  });
  choice.append(
    ...layers.map((/** @type {any} */ one, /** @type {number} */ at) =>
      make("option", { value: at }, `${one.title || one.dataset} · ${one.org}`),
    ),
  );
  await show(first);
  return layers.length > 1 ? [choice, content] : [content];
}

/** @param {string} org @param {string} dataset @param {string} version @param {string} layer @returns {Promise<Node[]>} */
async function showLayer(org, dataset, version, layer) {
  const found = await get(
    `/datasets/${encodeURIComponent(org)}/${encodeURIComponent(dataset)}/previews${version ? `?version=${version}` : ""}`,
  );
  const chosen = found.layers.filter((/** @type {any} */ one) => !layer || one.name === layer);
  return chosen.flatMap((/** @type {any} */ one) => [heading(found, one), ...bodyOf(one)]);
}

/** @param {any} found @param {any} layer */
const heading = (found, layer) =>
  make(
    "p.what",
    make(`span.swatch.${layer.kind}`, { "aria-hidden": "true" }),
    make("b", word("kinds", layer.kind)),
    make("span.muted", ` · ${found.org}/${found.dataset} · ${_("version")} ${number(found.version)}`),
  );

/** @param {any} layer @returns {Node[]} */
function bodyOf(layer) {
  const by = (/** @type {string} */ kind) => layer.previews.filter((/** @type {any} */ one) => one.kind === kind);
  const [cloud, still, lines, clip, facts] = ["cloud", "still", "teaser", "clip", "facts"].map((kind) => by(kind)[0]);
  /** @type {(Part | null)[]} */
  const made = [
    cloud ? cloudPart(cloud, still) : null,
    lines ? linesPart(lines) : null,
    by("strip").length ? stripPart(by("strip")) : null,
    clip ? clipPart(clip) : null,
    layer.hidden
      ? {
          node: make(
            "p.note",
            layer.hidden === "original"
              ? _("Original footage is never shown before it is bought. This is what its sensors recorded.")
              : _("There is no picture of this layer. This is what is known about it."),
          ),
        }
      : null,
    facts ? factsPart(facts.about) : null,
    coveragePart(layer),
  ];
  const there = /** @type {Part[]} */ (made.filter(Boolean));
  parts.push(...there);
  return there.map((part) => part.node);
}
