// @ts-check
// An estimate as lines, totals and refusals; and what to show instead of a price.
import { LOGIN } from "./address.js";
import { make } from "../base/dom.js";
import { _, area, bytes, n_, number, page, sentence, won, word } from "../base/i18n.js";
import { previewButton } from "../preview/preview.js";
import { state } from "./state.js";

/** Lines of one layer together, layers in the order of the answer. @param {any[]} lines */
export function byLayer(lines) {
  /** @type {Map<string, any>} */
  const layers = new Map();
  for (const line of lines) {
    const key = `${line.org}/${line.dataset}/${line.layer}`;
    const found = layers.get(key) ?? { ...line, amount: 0, lines: [] };
    found.amount += line.amount;
    found.lines.push(line);
    layers.set(key, found);
  }
  return [...layers.values()];
}

/** @param {any} answer an estimate @returns {any[]} elements */
export function priceList(answer) {
  const refused = answer.refusals ?? [];
  const known = byLayer(answer.lines);
  const shown = known.map((layer) =>
    layerItem(
      layer,
      refused.filter((/** @type {any} */ one) => same(one, layer)),
      answer.cells,
    ),
  );
  const rest = refused.filter((/** @type {any} */ one) => !known.some((layer) => same(one, layer)));
  return [
    make(
      "div.facts",
      fact(area(answer.area_km2), "km²"),
      fact(number(answer.tiles), n_("tile", "tiles", answer.tiles)),
      fact(...measured(answer.bytes)),
    ),
    make("ul.lines", shown, rest.map(refusedItem), missing(answer)),
    barely(answer.barely),
    make(
      "div.totals",
      row(_("Subtotal"), won(answer.subtotal)),
      row([_("VAT"), "10%"].join(" "), won(answer.vat)),
      make("div.total", make("span", _("Total")), make("span", { id: "total" }, won(answer.total))),
    ),
  ].filter(Boolean);
}

/** Chosen kinds of which nothing is on offer in the area. @param {any} answer */
function missing(answer) {
  const there = new Set([...answer.lines, ...answer.refusals].map((one) => one.kind));
  const absent = state.kinds.filter((kind) => !there.has(kind));
  return absent.map((kind) =>
    make(
      "li",
      { "data-missing": kind },
      make(`span.swatch.${kind}`, { "aria-hidden": "true" }),
      make("span.what", word("kinds", kind)),
      make("span.sub", _("No data on offer in this area.")),
    ),
  );
}

/** @param {any} found tiles of which less than 5 % is in the area */
function barely(found) {
  if (!found?.tiles) return null;
  const text = found.left_out
    ? n_("%(count)s tile barely touched is left out", "%(count)s tiles barely touched are left out", found.tiles)
    : n_(
        "%(count)s tile barely touched (inside by less than 5 %)",
        "%(count)s tiles barely touched (inside by less than 5 %)",
        found.tiles,
      );
  return make(
    "p.barely",
    { "data-barely": String(found.tiles) },
    make("span", text),
    make("b", `${found.left_out ? "+" : "−"}${won(found.amount)}`),
    make("button.link", { type: "button", id: "leave-barely" }, found.left_out ? _("Take them in") : _("Leave them out")),
  );
}

/** @param {any} a @param {any} b */
const same = (a, b) => a.org === b.org && a.dataset === b.dataset && a.layer === b.layer;
/** @param {string} value @param {string} name */
const fact = (value, name) => make("div", make("b", value), make("span", name));
/** A size as a number and its unit. @param {number} count @returns {[string, string]} */
const measured = (count) => /** @type {[string, string]} */ (bytes(count).split(" "));
/** @param {string} name @param {string} value */
const row = (name, value) => make("div", make("span", name), make("span", value));

/** @param {any} layer @param {any[]} refused @param {number} cells tiles of the area */
function layerItem(layer, refused, cells) {
  const preview = previewButton(`${layer.org}/${layer.dataset}//${layer.layer}`);
  const owned = layer.owned_tiles ? _("already yours: %(count)s", { count: number(layer.owned_tiles) }) : "";
  return make(
    "li",
    { "data-layer": layer.layer, "data-dataset": layer.dataset },
    make(`span.swatch.${layer.kind}`, { "aria-hidden": "true" }),
    make("span.what", word("kinds", layer.kind)),
    make("span.sum", won(layer.amount)),
    make(
      "span.sub",
      make("a", { href: `/datasets/${layer.org}/${layer.dataset}` }, `${layer.dataset} · ${layer.org}`),
      make("span", n_("%(count)s tile", "%(count)s tiles", layer.tiles), preview && " · ", preview),
    ),
    make(
      "span.sub",
      make(
        "span",
        [
          `${word("formats", layer.kind)} ${bytes(layer.bytes)}`,
          layer.as_of ? _("as of %(date)s", { date: layer.as_of.slice(0, 10) }) : "",
          noData(layer, refused, cells),
        ]
          .filter(Boolean)
          .flatMap((fact, at) => [at ? " · " : "", make("span.nowrap", fact)]),
      ),
      make("span", word("licences", layer.licence)),
    ),
    layer.lines.flatMap((/** @type {any} */ line) => [
      make(
        "span.sub",
        make("span", `${number(line.quantity)} ${word("units", line.unit)} × ${won(line.rate)}`),
        make("span", won(line.price)),
      ),
      line.credit > 0 &&
        make(
          "span.sub",
          { "data-credit": "" },
          make("span.good", _("Credit: paid earlier for these tiles")),
          make("span", `−${won(line.credit)}`),
        ),
    ]),
    owned && make("span.sub", make("span.good", owned)),
    refused.map(refusal),
  );
}

/** @param {any} layer @param {any[]} refused @param {number} cells */
function noData(layer, refused, cells) {
  const without = cells - layer.tiles - refused.reduce((sum, one) => sum + one.tiles, 0);
  return without > 0 ? n_("no data in %(count)s tile", "no data in %(count)s tiles", without) : "";
}

/** @param {any} one */
const refusedItem = (one) =>
  make(
    "li",
    make(`span.swatch.${one.kind}`, { "aria-hidden": "true" }),
    make("span.what", `${one.dataset} · ${one.layer}`),
    make("span.chip." + one.class, word("classes", one.class)),
    refusal(one),
  );

/** @param {any} one */
const refusal = (one) =>
  make(
    "span.refused",
    { "data-code": one.code },
    `${sentence(one)} `,
    one.permit ? make("span.nowrap", `(${one.permit}) `) : null,
    make("span.nowrap", n_("%(count)s tile left out", "%(count)s tiles left out", one.tiles)),
  );

/** The way to sign in and back. @param {string} text */
export const signIn = (text) => make("a.button.primary", { href: LOGIN, "data-login": "" }, text);

/** What to show instead of a price. @param {any} error @param {() => void} again @returns {any[]} */
export function priceProblem(error, again) {
  if (error.status === 401) {
    const text = page.signedIn ? _("Your session has ended. Your area is kept.") : _("Sign in to see prices.");
    return [make("div.empty", make("p", text), make("p", signIn(_("Sign in"))))];
  }
  const parts = [
    make(
      "p.error",
      { role: "alert", "data-code": error.code },
      error.code === "network"
        ? _("No answer from the server. Your area is kept.")
        : /^area\./.test(error.code)
          ? error.message
          : sentence(error),
    ),
  ];
  const canPass = error.code === "network" || error.status === 429 || error.status >= 500,
    isLimited = !page.signedIn && [413, 429].includes(error.status);
  if (canPass || isLimited)
    parts.push(
      make(
        "p.actions",
        canPass && make("button", { type: "button", onclick: again }, _("Try again")),
        isLimited && signIn(_("Sign in to go on")),
      ),
    );
  if (/too_large/.test(error.code)) parts.push(make("p.muted.small", make("code", "mapex quote --region part.geojson --purpose research")));
  if (/too_many_vertices/.test(error.code))
    parts.push(make("p.muted.small", make("code", "mapex quote --region area.geojson --simplify 5 --purpose research")));
  if (page.words.errors[error.code] && error.code.startsWith("region.")) parts.push(make("p.muted.small", error.message));
  return parts;
}
