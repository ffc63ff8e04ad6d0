// @ts-check
// The page of a dataset: where it is, coloured like the explore map.
import { one, showText } from "../base/dom.js";
import { _, page } from "../base/i18n.js";

async function start() {
  const box = one("#map");
  if (!box) return;
  const note = one("#map-note");
  const absent = (/** @type {string} */ why) => {
    document.documentElement.dataset.map = "none";
    showText(note, why);
  };
  if (!page.hasVendor) return absent(_("The map files are missing; on the server, run: python hatch_build.py"));
  const maps = await import("../map/map.js");
  if (!maps.canDraw()) return absent(_("This browser cannot draw the map."));
  const { WAYS, colourControl, coverage } = await import("../map/coverage.js");
  const map = await maps.createMap(box, { bounds: page.bounds, fitBoundsOptions: { padding: 24, maxZoom: 15 } });
  const recolour = coverage(map, { kinds: page.kinds, by: WAYS[0], tiles: page.tiles });
  colourControl(one("#by"), one("#legend"), { by: WAYS[0], kinds: page.kinds, choose: (by) => recolour(page.kinds, by) });
}

await start();
document.documentElement.dataset.ready = "yes";
