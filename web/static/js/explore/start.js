// @ts-check
// The first page's picture: the map where most is on offer. It is looked at; a click on it opens the real one.
import { one } from "../base/dom.js";
import { page } from "../base/i18n.js";

async function start() {
  const box = one("#map");
  const maps = page.hasVendor && (await import("../map/map.js"));
  if (!maps || !maps.canDraw()) {
    document.documentElement.dataset.map = "none";
    return void box.parentElement?.remove(); // without a picture the words have its place
  }
  const { WAYS, coverage } = await import("../map/coverage.js");
  const bounds = page.bounds ? { bounds: page.bounds, fitBoundsOptions: { padding: 12, maxZoom: 15 } } : {};
  const map = await maps.createMap(box, { interactive: false, ...bounds });
  coverage(map, { kinds: page.kinds, by: WAYS[0] });
}

await start();
document.documentElement.dataset.ready = "yes";
