// @ts-check
// One entry: its commitment computed again here, and the evidence for the clipboard.
import { one } from "../base/dom.js";
import { _, page } from "../base/i18n.js";
import { square } from "../map/grid.js";
import { boxOf, canDraw, collection, createMap, ink } from "../map/map.js";
import { holds } from "./merkle.js";

const { seq, payload, salt, commitment } = page.entry;
const result = one("#recomputed");
if (crypto.subtle) {
  const isRight = await holds([seq, payload, salt, commitment]);
  result.className = isRight ? "good" : "error";
  result.textContent = isRight ? `✓ ${_("The payload is what was committed to.")}` : `✗ ${_("The payload is not what was committed to.")}`;
} else result.textContent = _("This browser computes no checksums on pages without https.");

one("#copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(JSON.stringify(page.entry, null, 1));
  one("#copied").textContent = _("Copied.");
});
/** The tile, and the area of the permit as it was then. @param {HTMLElement} container @param {{tile: string, area: any}} ground */
async function drawGround(container, { tile, area }) {
  if (!canDraw()) return void container.parentElement?.remove();
  const place = square(tile);
  const map = await createMap(container, { bounds: boxOf(place), fitBoundsOptions: { padding: 60, maxZoom: 15 } });
  const areas = area ? [{ type: "Feature", properties: {}, geometry: area }] : [];
  map.addSource("area", { type: "geojson", data: collection(areas) });
  map.addSource("tile", { type: "geojson", data: collection([place]) });
  map.addLayer({
    id: "area",
    type: "line",
    source: "area",
    paint: { "line-color": ink("mark"), "line-width": 1.5, "line-dasharray": [3, 2] },
  });
  map.addLayer({ id: "tile", type: "fill", source: "tile", paint: { "fill-color": "#fde737", "fill-opacity": 0.6 } });
}
if (page.ground.tile) await drawGround(one("#map"), page.ground);
document.documentElement.dataset.ready = "";
