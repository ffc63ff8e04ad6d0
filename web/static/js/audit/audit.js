// @ts-check
// The auditor's page: one filter moves numbers, timeline, map and list together; htmx brings them, this draws them.
import { all, one, showText } from "../base/dom.js";
import { square } from "../map/grid.js";
import { n_, number, page } from "../base/i18n.js";
import { belowLines } from "../map/lines.js";
import { boxOf, canDraw, collection, createMap, ink } from "../map/map.js";
import { timeline, written } from "./timeline.js";
import { install } from "./verify.js";

const STEPS = ["#535a6c", "#7d7c78", "#a59c74", "#d0be67", "#fde737"];
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

/** @param {any} figures */
async function drawMap(figures) {
  const container = one("#map");
  if (!container) return;
  if (!canDraw()) return void container.parentElement.remove();
  const most = Math.max(1, ...figures.heat.map((/** @type {any[]} */ heat) => heat[1]));
  const squares = figures.heat.map((/** @type {[string, number, number]} */ [tile, accesses, flagged]) => ({
    ...square(tile),
    properties: { tile, accesses, flagged, step: Math.min(4, Math.floor((Math.log1p(accesses) / Math.log1p(most)) * 5)) },
  }));
  const points = squares.map((/** @type {any} */ one) => ({
    type: "Feature",
    properties: one.properties,
    geometry: { type: "Point", coordinates: middle(boxOf(one)) },
  }));
  const area = page.area ? [{ type: "Feature", properties: {}, geometry: page.area }] : [];
  const box = boxOf(collection(squares.length ? squares : area)) ?? page.box;
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
  const colour = ["match", ["get", "step"], ...STEPS.flatMap((colour, i) => (i < 4 ? [i, colour] : [])), STEPS[4]];
  map.addLayer({ id: "heat", type: "fill", source: "heat", paint: { "fill-color": colour, "fill-opacity": 0.7 } }, belowLines(map));
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
    layout: { "text-field": ["to-string", ["get", "accesses"]], "text-size": 13 },
    paint: { "text-color": ink("mark"), "text-halo-color": ink("halo"), "text-halo-width": 1.5 },
  });
  map.on("click", "heat", (/** @type {any} */ event) => (location.href = `/audit/tiles/${event.features[0].properties.tile}`));
  map.on("mousemove", "heat", (/** @type {any} */ event) => {
    const { tile, accesses, flagged } = event.features[0].properties;
    map.getCanvas().style.cursor = "pointer";
    showText(
      one("#mapnote"),
      n_("Tile %(tile)s: %(count)s access, %(flagged)s flagged", "Tile %(tile)s: %(count)s accesses, %(flagged)s flagged", accesses, {
        tile,
        flagged: number(flagged),
      }),
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
