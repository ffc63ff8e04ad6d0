// @ts-check
// The user's own marks on the map: tiles of the area, tiles that cannot be had, and the outline of an area that was not drawn here.
import { cellsOf, polygonsOf, square } from "../map/grid.js";
import { state } from "./state.js";

/** Tiles of the area that are not dropped; null when there are too many to light up. @returns {string[] | null} */
export function chosenTiles() {
  const tiles = areaTiles();
  const dropped = new Set(state.dropped);
  return tiles && (dropped.size ? tiles.filter((key) => !dropped.has(key)) : tiles);
}

/** All tiles of the area, dropped ones too; null when there are too many. @returns {string[] | null} */
export function areaTiles() {
  const area = state.area;
  if (!area) return [];
  if (area.type === "tiles") return area.keys;
  const found = cellsOf(area.type === "outline" ? [[area.ring]] : polygonsOf(area.geo));
  return found && [...found];
}

/** Layers for the marks. @param {any} maps the module map/map.js @param {any} map */
export function addMarks(maps, map) {
  maps.addMarks(map, "chosen", 0.18);
  maps.addMarks(map, "region", 0);
  map.addSource("refused", { type: "geojson", data: maps.collection([]) });
  map.addImage("hatch", hatch());
  map.addLayer({ id: "refused-fill", type: "fill", source: "refused", paint: { "fill-pattern": "hatch", "fill-opacity": 0.9 } });
}

/** Diagonal strokes in the colour of warnings: refused is shown by pattern and by the list, not by colour alone. */
function hatch() {
  const size = 16,
    data = new Uint8Array(size * size * 4);
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) if ((x + y) % 8 < 2) data.set([255, 207, 112, 200], (y * size + x) * 4);
  return { width: size, height: size, data };
}

/** Show the area; `html[data-tiles]` is how many tiles it has. @param {any} maps the module map/map.js, or null @param {any} map */
export function light(maps, map) {
  const keys = chosenTiles();
  document.documentElement.dataset.tiles = keys ? String(keys.length) : "many";
  if (!map) return;
  const area = state.area;
  map.getSource("chosen").setData(maps.collection((keys ?? []).map(square)));
  map
    .getSource("region")
    .setData(maps.collection(area?.type === "region" ? [{ type: "Feature", properties: {}, geometry: area.geo }] : []));
}

/** Hatch the tiles of which something chosen is refused; `html[data-refused]` is how many. @param {any} maps @param {any} map
 * @param {any[]} rows of tiles.js */
export function hatchRefused(maps, map, rows) {
  const refused = rows.filter((row) => Object.values(row.kinds).some(Boolean));
  document.documentElement.dataset.refused = String(refused.length);
  map?.getSource("refused").setData(maps.collection(refused.map((row) => square(row.tile))));
}
