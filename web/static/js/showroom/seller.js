// @ts-check
// The page of a seller: where something of it is on sale.
import { one, showText } from "../base/dom.js";
import { _, page } from "../base/i18n.js";
import { squareOf } from "./outline.js";

async function start() {
  const absent = (/** @type {string} */ why) => {
    document.documentElement.dataset.map = "none";
    showText(one("#map-note"), why);
  };
  if (!page.hasVendor) return absent(_("The map files are missing; on the server, run: python hatch_build.py"));
  const maps = await import("../map/map.js");
  const squares = page.squares.map(squareOf);
  const map = await maps.showOn(one("#map"), maps.collection(squares), page.bounds);
  if (!map) absent(_("This browser cannot draw the map."));
}

await start();
document.documentElement.dataset.ready = "yes";
