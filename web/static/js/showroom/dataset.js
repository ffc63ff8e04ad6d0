// @ts-check
// The page of a dataset: its public lines over the squares where it is, and the features of its free samples, which can be looked into.
import { offerCopies } from "../base/copy.js";
import { all, one, showText } from "../base/dom.js";
import { _, page } from "../base/i18n.js";
import { areaOf } from "./outline.js";

/** Zoom from which lines can be seen: a page that opens further out shows squares only. */
const NEAR = 14.4;

/** @param {number[]} box */
const centreOf = ([west, south, east, north]) => [(west + east) / 2, (south + north) / 2];

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
  const own = areaOf(location.hash);
  const bounds = own ? maps.boxOf(own) : page.bounds;
  const map = await maps.createMap(box, { bounds, fitBoundsOptions: { padding: 24, maxZoom: 16 }, lines: page.lines });
  if (!own && map.getZoom() < NEAR) map.jumpTo({ center: centreOf(page.samples[0]?.box ?? bounds), zoom: NEAR });
  if (own) maps.addMarks(map, "own", 0.1);
  if (own) map.getSource("own").setData(own);
  const recolour = coverage(map, { kinds: page.kinds, by: WAYS[0], tiles: page.tiles, faint: 0.5 });
  colourControl(one("#by"), one("#legend"), { by: WAYS[0], kinds: page.kinds, choose: (by) => recolour(page.kinds, by) });
  if (!page.samples.length) return;
  const { showSamples } = await import("./sample.js");
  await showSamples(map, page.samples);
}

/** The area that this address brought along, in the examples and in the way to the map. */
function follow() {
  const own = areaOf(location.hash);
  if (!own) return;
  const ring = own.coordinates[0].map((/** @type {number[]} */ at) => at.map((value) => Number(value.toFixed(6))));
  const [west, south, east, north] = [0, 1]
    .flatMap((i) => Math.min(...ring.map((/** @type {number[]} */ at) => at[i])))
    .concat([0, 1].flatMap((i) => Math.max(...ring.map((/** @type {number[]} */ at) => at[i]))));
  for (const place of all("[data-bbox]")) place.textContent = [west, south, east, north].map((side) => side.toFixed(5)).join(",");
  for (const place of all("[data-ring]")) place.textContent = JSON.stringify(ring);
  const use = one("#use-area");
  use.href = use.href.replace(/&a=[^&]*/, "") + location.hash.replace("#", "&");
}

/** One example at a time. */
function tabs() {
  const show = (/** @type {string} */ name) => {
    for (const part of all("[data-example]")) part.hidden = part.dataset.example !== name;
  };
  for (const choice of all("#examples input")) choice.addEventListener("change", () => show(choice.value));
  const chosen = one("#examples input:checked");
  if (chosen) show(chosen.value);
}

follow();
tabs();
offerCopies();
await start();
document.documentElement.dataset.ready = "yes";
