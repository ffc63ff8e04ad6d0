// @ts-check
// The small map of an order: owned tiles, and what a newer version changed, added or removed; sign and colour say the same.
import { densestBox, dots } from "../map/cluster.js";
import { square } from "../map/grid.js";

const MOST = 5000;
/** Kind of change: colour, and the sign in the middle of the cell. */
export const CHANGES = { changed: ["#ffcf70", "↻"], added: ["#6fdba4", "+"], removed: ["#ff8f85", "−"] };

/** @param {any[]} tiles @param {any} updates null = none @returns {Promise<any>} null without WebGL */
export async function showOrder(tiles, updates) {
  const { canDraw, collection, ink, showOn } = await import("../map/map.js");
  const box = document.getElementById("map");
  if (!canDraw() || !box) return null;
  const cells = collection([...new Set(tiles.map((tile) => tile.tile))].slice(0, MOST).map(square));
  const map = await showOn(box, cells, densestBox(cells.features));
  dots(map, "shown", cells.features, { colour: ink("mark") });
  for (const [kind, [colour, sign]] of Object.entries(CHANGES)) {
    /** @type {string[]} */
    const keys = [...new Set((updates?.layers ?? []).flatMap((/** @type {any} */ layer) => layer[kind]))].slice(0, MOST);
    if (!keys.length) continue;
    const squares = keys.map(square);
    map.addSource(kind, { type: "geojson", data: collection(squares) });
    map.addSource(`${kind}-sign`, { type: "geojson", data: collection(squares.map(middle)) });
    map.addLayer({ id: kind, type: "fill", source: kind, paint: { "fill-color": colour, "fill-opacity": 0.4 } });
    map.addLayer({ id: `${kind}-edge`, type: "line", source: kind, paint: { "line-color": colour, "line-width": 1.5 } });
    map.addLayer({
      id: `${kind}-sign`,
      type: "symbol",
      source: `${kind}-sign`,
      layout: { "text-field": sign, "text-size": 15 },
      paint: { "text-color": ink("mark"), "text-halo-color": ink("halo"), "text-halo-width": 1.5 },
    });
  }
  return map;
}

/** @param {any} feature a square */
function middle(feature) {
  const [[w, s], , [e, n]] = feature.geometry.coordinates[0];
  return { ...feature, geometry: { type: "Point", coordinates: [(w + e) / 2, (s + n) / 2] } };
}
