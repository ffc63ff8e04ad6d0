// @ts-check
// Coverage squares: coloured by what is there, how fresh or how good it is; numbers when near; what each layer is on hover or touch.
import { make } from "../base/dom.js";
import { _, n_, word, worth } from "../base/i18n.js";
import { belowLines } from "./lines.js";
import { ink, maplibregl } from "./map.js";

/** What the map can be coloured by; the first is the usual one. */
export const WAYS = ["available", "fresh", "quality"];
/** Five classes of cividis, cut at its light part: light is fresh and good. */
export const CLASSES = ["#fde737", "#d1bf63", "#a69d75", "#7c7b78", "#535a6c"];
const ALL = "#2185c4",
  SOME = "#4b4777",
  UNKNOWN = "#1d2a3b";
/** Days up to which each class goes, and the quality from which on. */
const DAYS = [30, 90, 180, 365],
  QUALITIES = [95, 85, 70, 50];
/** Finest zoom of coverage tiles: their squares are sale cells from here on. */
const FINEST = 11;
/** From here on numbers are in the cells; the colours fade between `FADE` and `FAINT`, so that what is drawn on them can be read. */
const NEAR = 14.4,
  FADE = 15,
  FAINT = 17;

/** Coverage on a map.
 * @param {any} map @param {{kinds: string[], by: string, tiles?: string, busy?: () => boolean}} options `tiles`: address of the tiles;
 *   `busy`: whether a touch means something else just now
 * @returns {(kinds: string[], by: string) => void} shows other kinds or colours */
export function coverage(map, { kinds, by, tiles = "/map/coverage/{z}/{x}/{y}.mvt", busy = () => false }) {
  map.addSource("coverage", { type: "vector", tiles: [location.origin + tiles], minzoom: 0, maxzoom: FINEST });
  const from = { source: "coverage", "source-layer": "coverage" };
  map.addLayer({ id: "coverage", type: "fill", ...from, paint: { "fill-antialias": false } }, belowLines(map));
  const faint = ["interpolate", ["linear"], ["zoom"], 8, 0.1, 13, 0.55];
  const edge = { "line-color": ink("edge"), "line-opacity": faint, "line-width": 0.7 };
  map.addLayer({ id: "coverage-edge", type: "line", ...from, paint: edge }, belowLines(map));
  const label = { "text-size": ["interpolate", ["linear"], ["zoom"], NEAR, 13, FAINT, 18], "text-allow-overlap": true, "text-padding": 0 };
  map.addLayer({
    id: "coverage-number",
    type: "symbol",
    minzoom: NEAR,
    ...from,
    layout: label,
    paint: { "text-color": ink("mark"), "text-halo-color": ink("halo"), "text-halo-width": 1.6 },
  });
  let chosen = kinds;
  /** @param {string[]} kinds @param {string} by */
  const show = (kinds, by) => {
    chosen = kinds;
    const some = ["any", ...kinds.map((kind) => ["has", kind])];
    for (const layer of ["coverage", "coverage-edge", "coverage-number"]) map.setFilter(layer, some);
    const strong = by === "available" ? 0.62 : 0.82;
    map.setPaintProperty("coverage", "fill-color", colour(kinds, by));
    map.setPaintProperty("coverage", "fill-opacity", ["interpolate", ["linear"], ["zoom"], FADE, strong, FAINT, strong / 3]);
    map.setLayoutProperty("coverage-number", "text-field", text(kinds, by));
  };
  show(kinds, by);
  explain(map, () => chosen, busy);
  return show;
}

/** Days since the newest of the kinds was seen. @param {string[]} kinds */
const ageOf = (kinds) => ["min", 1e6, ...kinds.map((kind) => ["coalesce", ["get", `${kind}_age`], 1e6])];
/** The best quality among the kinds; -1 = unknown. @param {string[]} kinds */
const qualityOf = (kinds) => ["max", -1, ...kinds.map((kind) => ["coalesce", ["get", `${kind}_q`], -1])];
/** How many of the kinds are there. @param {string[]} kinds */
const countOf = (kinds) => ["+", 0, ...kinds.map((kind) => ["case", ["has", kind], 1, 0])];

/** @param {string[]} kinds @param {string} by */
function colour(kinds, by) {
  if (by === "fresh") return ["step", ageOf(kinds), ...CLASSES.flatMap((shade, i) => (i ? [DAYS[i - 1] + 1, shade] : [shade]))];
  if (by === "quality")
    return ["step", qualityOf(kinds), UNKNOWN, 0, CLASSES[4], ...[...QUALITIES].reverse().flatMap((from, i) => [from, CLASSES[3 - i]])];
  return kinds.length > 1 ? ["interpolate", ["linear"], countOf(kinds), 1, SOME, kinds.length, ALL] : ALL;
}

/** The number in a cell. @param {string[]} kinds @param {string} by */
function text(kinds, by) {
  if (by === "fresh") {
    const days = (/** @type {number} */ count, /** @type {any} */ written) => n_("%(count)s day", "%(count)s days", count, written);
    return ["case", ["==", ageOf(kinds), 1], days(1, {}), around(days(2, { count: "%(count)s" }), ["to-string", ageOf(kinds)])];
  }
  if (by === "quality")
    return ["case", ["<", qualityOf(kinds), 0], _("unknown"), around(_("%(quality)s of 100"), ["to-string", qualityOf(kinds)])];
  return ["concat", ["to-string", countOf(kinds)], ` / ${kinds.length}`];
}

/** A sentence with an expression in its place. @param {string} sentence @param {any} value */
function around(sentence, value) {
  const [before, after] = sentence.split(/%\(\w+\)s/);
  return ["concat", before, value, after ?? ""];
}

/** What the colours mean: a list's items. @param {string} by @param {string[]} kinds @returns {any[]} */
export function legend(by, kinds) {
  if (by === "fresh") {
    const names = [...DAYS.map((days) => n_("up to %(count)s day", "up to %(count)s days", days)), _("older")];
    return names.map((name, i) => entry(`class${i}`, name));
  }
  if (by === "quality") {
    const names = QUALITIES.map((from, i) => (i ? `${from} – ${QUALITIES[i - 1] - 1}` : _("%(from)s or more", { from })));
    return [...names, _("below %(to)s", { to: QUALITIES[3] })]
      .map((name, i) => entry(`class${i}`, name))
      .concat(entry("unknown", _("unknown")));
  }
  if (kinds.length < 2) return [shade(ALL, _("data on offer"))];
  const all = kinds.length;
  return kinds.map((_kind, i) => shade(mixed((all - 1 - i) / (all - 1)), _("kinds: %(count)s of %(all)s", { count: all - i, all })));
}

/** The colour between `SOME` and `ALL`, as the map mixes it. @param {number} part */
function mixed(part) {
  const [from, to] = [SOME, ALL].map((colour_) => [1, 3, 5].map((at) => parseInt(colour_.slice(at, at + 2), 16)));
  return `rgb(${from.map((value, i) => Math.round(value + part * (to[i] - value))).join(", ")})`;
}

/** @param {string} colour_ @param {string} name */
function shade(colour_, name) {
  const mark = make("i", { "aria-hidden": "true" });
  mark.style.background = colour_;
  return make("li", mark, name);
}

/** @param {string} mark @param {string} name */
const entry = (mark, name) => make("li", make("i." + mark, { "aria-hidden": "true" }), name);

/** Each kind in a square, with its age and quality. @param {any} properties of the square @param {string[]} kinds */
function rows(properties, kinds) {
  return kinds
    .filter((kind) => properties[kind])
    .map((kind) =>
      make(
        "div",
        make(`span.swatch.${kind}`, { "aria-hidden": "true" }),
        make(
          "span.what",
          word("kinds", kind),
          properties[kind] > 1 ? make("span.muted", ` · ${n_("%(count)s tile", "%(count)s tiles", properties[kind])}`) : null,
        ),
        make("span.worth", worth(properties[`${kind}_age`], properties[`${kind}_q`])),
      ),
    );
}

/** A tip under the mouse; on touch a sheet at the lower edge, which does not cover the place.
 * @param {any} map @param {() => string[]} kinds @param {() => boolean} busy */
function explain(map, kinds, busy) {
  const tip = new maplibregl.Popup({ closeButton: false, closeOnClick: false, offset: 14, maxWidth: "300px", className: "tipbox" });
  const sheet = make("div.sheet", { role: "status", hidden: true });
  map.getContainer().append(sheet);
  const hide = () => (sheet.hidden = true);
  map.on("mousemove", "coverage", (/** @type {any} */ event) => {
    if (touched(event)) return;
    // A corner that is being drawn or dragged is under the mouse, and would be under the tip.
    if (busy() || event.originalEvent.buttons) return void tip.remove();
    tip
      .setLngLat(event.lngLat)
      .setDOMContent(make("div.tip", rows(event.features[0].properties, kinds())))
      .addTo(map);
  });
  map.on("mouseleave", "coverage", () => tip.remove());
  map.on("click", (/** @type {any} */ event) => {
    if (!touched(event) || busy()) return hide();
    const [found] = map.queryRenderedFeatures(event.point, { layers: ["coverage"] });
    if (!found) return hide();
    tip.remove();
    const close = make("button", { type: "button", "aria-label": _("Close"), onclick: hide }, "×");
    sheet.replaceChildren(make("div.tip", rows(found.properties, kinds())), close);
    sheet.hidden = false;
  });
}

/** Whether a finger did it: phones send mouse events after a touch. @param {any} event */
const touched = (event) => event.originalEvent.pointerType === "touch" || matchMedia("(hover: none)").matches;

/** A segmented control of radio buttons that says by what the map is coloured, and its legend.
 * @param {HTMLElement} group @param {HTMLElement} list
 * @param {{by: string, kinds: string[], choose: (by: string) => void}} options
 * @returns {(by: string, kinds: string[]) => void} shows the legend of other colours or kinds */
export function colourControl(group, list, { by, kinds, choose }) {
  const mine = [...list.children]; // what is always there: the user's own marks
  let shown = kinds;
  const show = (/** @type {string} */ by, kinds = shown) => {
    shown = kinds;
    list.replaceChildren(...legend(by, kinds), ...mine);
  };
  for (const button of /** @type {any} */ (group.querySelectorAll("input"))) {
    button.checked = button.value === by;
    button.addEventListener("change", () => (show(button.value), choose(button.value)));
  }
  show(by);
  return show;
}
