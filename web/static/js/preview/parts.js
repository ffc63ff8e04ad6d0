// @ts-check
// The parts of a preview: cloud, lines, strip, clip, facts. Each gives its element, and what to do when the dialog closes.
import { make, showText } from "../base/dom.js";
import { _, n_, number } from "../base/i18n.js";
import { drawLines } from "../map/teaser.js";

/** @typedef {import("./dialog.js").Part} Part */

/** @param {any} cloud @param {any} still @returns {Part} */
export function cloudPart(cloud, still) {
  const status = make("p.muted.small", { role: "status" }, _("Loading points …"));
  const note = make(
    "p.muted.small",
    _("A sample of the points, %(step)s cm coarse, without its place.", { step: number(cloud.about.step_m * 100) }),
  );
  const canvas = make("canvas", {
    tabindex: 0,
    role: "application",
    "aria-label": _("Point cloud. Arrow keys turn it, with Shift they move it, + and - zoom, 0 goes back."),
  });
  const box = make("figure.cloud", canvas);
  /** @type {any} */
  let viewer = null;
  let closed = false;
  import("./cloud.js")
    .then(async ({ canDrawCloud, openCloud }) => {
      if (!canDrawCloud()) return withoutGl();
      viewer = await openCloud(canvas, cloud.url, cloud.bytes, (shown, all) =>
        showText(status, n_("%(shown)s of %(count)s point", "%(shown)s of %(count)s points", all, { shown: number(shown) })),
      );
      if (closed) return viewer.close();
      box.prepend(tools(viewer));
      await viewer.whole;
    })
    .catch((error) => {
      if (!closed) showText(status, _("The points could not be loaded: %(why)s", { why: String(error.message ?? error) }));
    });
  function withoutGl() {
    canvas.remove();
    if (still) box.append(make("img", { src: still.url, alt: _("The cloud from above, lit from the north-west") }));
    showText(status, _("This browser cannot draw points in 3-D, so this is a picture of them."));
  }
  box.append(status, note);
  return { node: box, close: () => ((closed = true), viewer?.close()) };
}

/** @param {import("./cloud.js").Viewer} viewer */
function tools(viewer) {
  /** @type {[import("./cloud.js").Mode, string][]} */
  const modes = [
    ["colour", _("Colour")],
    ["height", _("Height")],
    ["intensity", _("Intensity")],
  ];
  const buttons = modes
    .filter(([mode]) => mode !== "colour" || viewer.coloured)
    .map(([mode, name], at) =>
      make(
        "button",
        {
          type: "button",
          "data-mode": mode,
          "aria-pressed": String(at === 0),
          onclick: (/** @type {any} */ event) => {
            for (const one of buttons) one.setAttribute("aria-pressed", String(one === event.currentTarget));
            viewer.setMode(mode);
          },
        },
        name,
      ),
    );
  const edges = make("input", {
    type: "checkbox",
    checked: true,
    onchange: (/** @type {any} */ event) => viewer.setEdges(event.target.checked),
  });
  return make(
    "div.cloudtools",
    make("div.segments", { role: "group", "aria-label": _("Colour by") }, buttons),
    make("label.inline", edges, _("Shade edges")),
    make("button", { type: "button", onclick: () => viewer.reset() }, _("Reset view")),
  );
}

/** @param {any} lines @returns {Part} */
export function linesPart(lines) {
  const canvas = make("canvas", { role: "img", "aria-label": _("Where the lines of this layer run, simplified") });
  const status = make(
    "p.muted.small",
    { role: "status" },
    _("Only where the lines run, on a grid of several metres. What you buy is exact and has heights and attributes."),
  );
  drawLines(canvas, lines.url).catch((error) => showText(status, String(error.message ?? error)));
  return { node: make("figure.lines", canvas, status) };
}

/** @param {any[]} pictures @returns {Part} */
export const stripPart = (pictures) => ({
  node: make(
    "figure.strip",
    make(
      "ul",
      { tabindex: 0, "aria-label": _("Pictures") },
      pictures.map((one, at) =>
        make(
          "li",
          make("img", {
            src: one.url,
            width: one.about.width,
            height: one.about.height,
            alt: _("Picture %(n)s of %(all)s", { n: at + 1, all: pictures.length }),
          }),
        ),
      ),
    ),
    make("figcaption.muted.small", _("Faces and number plates are blurred as far as they were found; what you buy is as its class says.")),
  ),
});

/** @param {any} clip @returns {Part} */
export function clipPart(clip) {
  const video = make("video", {
    controls: true,
    preload: "metadata",
    muted: true,
    playsinline: true,
    width: clip.about.width,
    height: clip.about.height,
    src: clip.url,
    "aria-label": _("Clip"),
  });
  const faster = clip.about.times_faster > 1 ? _("%(n)s times faster than recorded", { n: number(clip.about.times_faster) }) : "";
  return {
    node: make("figure.clip", video, make("figcaption.muted.small", faster)),
    close: () => (video.pause(), video.removeAttribute("src"), video.load()),
  };
}

/** @param {any} about @returns {Part} */
export function factsPart(about) {
  /** @type {[string, string][]} */
  const rows = [];
  if (about.points) rows.push([_("Points"), number(about.points)]);
  if (about.size_m)
    rows.push([
      _("Size"),
      _("%(wide)s × %(deep)s m, %(high)s m high", {
        wide: number(about.size_m[0]),
        deep: number(about.size_m[1]),
        high: number(about.size_m[2]),
      }),
    ]);
  if (about.colour !== undefined)
    rows.push([_("Has"), [about.colour ? _("Colour") : "", about.intensity ? _("Intensity") : ""].filter(Boolean).join(", ") || "–"]);
  if (about.pictures) rows.push([_("Pictures"), number(about.pictures)]);
  if (about.resolution) rows.push([_("Resolution"), `${number(about.resolution[0])} × ${number(about.resolution[1])}`]);
  if (about.seconds) rows.push([_("Duration"), _("%(n)s s", { n: number(about.seconds) })]);
  const table = about.topics?.length
    ? make(
        "div.scroll",
        { tabindex: 0, role: "region", "aria-label": _("What was recorded") },
        make(
          "table",
          make(
            "thead",
            make(
              "tr",
              [_("Topic"), _("Messages"), _("Per second")].map((name) => make("th", { scope: "col" }, name)),
            ),
          ),
          make(
            "tbody",
            about.topics.map((/** @type {any} */ topic) =>
              make(
                "tr",
                make("td", make("code", topic.topic), make("div.muted.small", topic.type)),
                make("td.number", number(topic.count)),
                make("td.number", topic.hz === null ? "–" : number(topic.hz)),
              ),
            ),
          ),
        ),
      )
    : null;
  return {
    node: make(
      "section.recorded",
      make(
        "dl",
        rows.flatMap(([name, value]) => [make("dt", name), make("dd", value)]),
      ),
      table,
    ),
  };
}

/** @param {any} layer @returns {Part} */
export function coveragePart(layer) {
  const days = (layer.captured ?? []).map((/** @type {string} */ text) => text.slice(0, 10));
  const when = days.length ? `${_("Recorded")}: ${[...new Set(days)].join(" – ")}` : "";
  return { node: make("p.muted.small", [n_("%(count)s tile", "%(count)s tiles", layer.tiles), when].filter(Boolean).join(" · ")) };
}
