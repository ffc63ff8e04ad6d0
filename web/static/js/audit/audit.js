// @ts-check
// The auditor's page: one filter moves numbers, timeline, map and list together; htmx brings them, this draws them.
import { all, one, showText } from "../base/dom.js";
import { densestBox, dots } from "../map/cluster.js";
import { square } from "../map/grid.js";
import { _, n_, number, page } from "../base/i18n.js";
import { belowLines } from "../map/lines.js";
import { boxOf, canDraw, collection, createMap, ink } from "../map/map.js";
import { placeSearch } from "../map/places.js";
import { timeline, written } from "./timeline.js";
import { install } from "./verify.js";

const STEPS = ["#535a6c", "#7d7c78", "#a59c74", "#d0be67", "#fde737"];
const SHADE = ["match", ["get", "step"], ...STEPS.flatMap((colour, i) => (i < 4 ? [i, colour] : [])), STEPS[4]];
const FIT = { padding: 40, maxZoom: 15, duration: 0 };
/** @type {any} */
let map = null;
/** Which slider moved the brush: it keeps the focus when the part under the filter is exchanged. */
let focused = -1;

/** The filter with other times, sent as if it had been typed. @param {number | null} from @param {number | null} to */
function brush(from, to) {
  const field = one("#q");
  focused = all("#timeline input").indexOf(document.activeElement);
  const rest = field.value.replace(/(^|\s)(from|to):("[^"]*"|\S+)/g, " ").trim();
  field.value = [rest, from === null ? "" : `from:${written(from)}`, to === null ? "" : `to:${written(to)}`].filter(Boolean).join(" ");
  one("#filter").requestSubmit();
}

/** Only this ground: the form with it, sent. @param {string} region */
function ask(region) {
  one("#form [name=region]").value = region;
  one("#form").requestSubmit();
}

/** A place as the filter names its ground. @param {import("../map/places.js").Found} place */
const groundOf = (place) => place.key || (place.box ?? [place.lon, place.lat]).join(",");

/** Tools that draw the ground; what they need is fetched when one is first taken. Returns whether a click on the map is a corner.
 * @param {any} map */
function wireTools(map) {
  const buttons = all("[data-tool]");
  /** @type {Promise<any> | null} */
  let tools = null;
  let isDone = false; // the click that ends an outline comes after its end
  const start = async () => {
    const { drawing } = await import("../map/draw.js");
    return drawing(map, {
      onOutline: (ring, done) => {
        if (!done || isDone) return;
        isDone = true;
        ask(ring.slice(0, -1).map(written5).join(";"));
      },
      onTile: () => {},
      onTool: (tool) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.tool === tool))),
    });
  };
  for (const button of buttons)
    button.addEventListener("click", async () => {
      const drawn = await (tools ??= start());
      drawn.choose(drawn.tool() === button.dataset.tool ? "" : button.dataset.tool);
    });
  return () => isDone || Boolean(one("[data-tool][aria-pressed=true]"));
}
/** @param {[number, number]} at */
const written5 = ([lon, lat]) => `${lon.toFixed(5)},${lat.toFixed(5)}`;

/** @param {any} figures */
async function drawMap(figures) {
  const container = one("#map");
  if (!container) return;
  placeSearch(one("[data-places]"), () => map, {
    label: _("Who read here"),
    fits: () => true,
    act: (place) => (place.kind === "tile" ? (location.href = `/audit/tiles/${place.tile}`) : ask(groundOf(place))),
  });
  if (!canDraw()) return void (container.hidden = one("#tools").hidden = true);
  const which = figures.heat.some((/** @type {any[]} */ heat) => heat[1]) ? 1 : 2; // originals never mix with what anybody may read
  const most = Math.max(1, ...figures.heat.map((/** @type {any[]} */ heat) => heat[which]));
  const squares = figures.heat.map((/** @type {[string, number, number, number, string]} */ heat) => {
    const [tile, originals, others, flagged, place] = heat;
    const accesses = /** @type {number} */ (heat[which]);
    const step = Math.min(4, Math.floor((Math.log1p(accesses) / Math.log1p(most)) * 5));
    return { ...square(tile), properties: { tile, place, accesses, originals, others, flagged, step } };
  });
  const points = squares.map((/** @type {any} */ one) => ({
    type: "Feature",
    properties: one.properties,
    geometry: { type: "Point", coordinates: middle(boxOf(one)) },
  }));
  const area = [page.area, figures.region]
    .filter(Boolean)
    .map((/** @type {any} */ geometry) => ({ type: "Feature", properties: {}, geometry }));
  const box = (figures.region && boxOf(figures.region)) ?? densestBox(squares) ?? boxOf(collection(area)) ?? page.box;
  map?.remove();
  map = await createMap(container, box ? { bounds: box, fitBoundsOptions: FIT } : {});
  map.addSource("area", { type: "geojson", data: collection(area) });
  map.addSource("heat", { type: "geojson", data: collection(squares) });
  map.addSource("counts", { type: "geojson", data: collection(points) });
  map.addLayer({
    id: "area",
    type: "line",
    source: "area",
    paint: { "line-color": ink("mark"), "line-width": 1.5, "line-dasharray": [3, 2] },
  });
  const opacity = ["case", [">", ["get", "accesses"], 0], 0.8, 0.25];
  map.addLayer({ id: "heat", type: "fill", source: "heat", paint: { "fill-color": SHADE, "fill-opacity": opacity } }, belowLines(map));
  map.addLayer({
    id: "flagged",
    type: "line",
    source: "heat",
    filter: [">", ["get", "flagged"], 0],
    paint: { "line-color": "#ff6b5e", "line-width": 3 },
  });
  map.addLayer({
    id: "counts",
    type: "symbol",
    source: "counts",
    minzoom: 13.4,
    filter: [">", ["get", "accesses"], 0],
    layout: { "text-field": ["to-string", ["get", "accesses"]], "text-size": 13 },
    paint: { "text-color": ink("mark"), "text-halo-color": ink("halo"), "text-halo-width": 1.5 },
  });
  dots(map, "heat", squares, { colour: ["case", [">", ["get", "flagged"], 0], "#ff6b5e", SHADE] });
  const isDrawing = wireTools(map);
  map.on("click", "heat", (/** @type {any} */ event) => {
    if (!isDrawing()) location.href = `/audit/tiles/${event.features[0].properties.tile}`;
  });
  map.on("mousemove", "heat", (/** @type {any} */ event) => {
    const { place, originals, others, flagged } = event.features[0].properties;
    map.getCanvas().style.cursor = "pointer";
    showText(
      one("#mapnote"),
      n_(
        "%(place)s: %(count)s read of originals, %(others)s of others, %(flagged)s flagged",
        "%(place)s: %(count)s reads of originals, %(others)s of others, %(flagged)s flagged",
        originals,
        { place, others: number(others), flagged: number(flagged) },
      ),
    );
  });
  map.on("mouseleave", "heat", () => {
    map.getCanvas().style.cursor = "";
    showText(one("#mapnote"), "");
  });
}

/** @param {any} box @returns {[number, number]} */
const middle = ([w, s, e, n]) => [(w + e) / 2, (s + n) / 2];

/** Draw what the answer brought. */
async function draw() {
  const figures = JSON.parse(one("#figures").textContent);
  if (!figures.bars) return;
  timeline(one("#timeline"), figures, brush);
  all("#timeline input")[focused]?.focus();
  focused = -1;
  await drawMap(figures);
}

// The part under the filter is exchanged as a whole, whoever asked for it.
new MutationObserver((changes) => {
  if (changes.some((change) => [...change.addedNodes].some((node) => /** @type {Element} */ (node).id === "view"))) draw();
}).observe(/** @type {Node} */ (one("#view").parentNode), { childList: true });
install();
await draw();
document.documentElement.dataset.ready = "";
