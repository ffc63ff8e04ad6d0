// @ts-check
// The user's own marks on the map: tiles of the area, and the outline of an area that was not drawn here.
import { cellsOf, polygonsOf, square } from "./grid.js";
import { state } from "./state.js";

/** Tiles of the area that are not dropped; null when there are too many to light up. @returns {string[] | null} */
export function chosenTiles() {
  const tiles = tilesOf();
  const dropped = new Set(state.dropped);
  return tiles && (dropped.size ? tiles.filter((key) => !dropped.has(key)) : tiles);
}

/** All tiles of the area, dropped ones too; null when there are too many. @returns {string[] | null} */
export function tilesOf() {
  const area = state.area;
  if (!area) return [];
  if (area.type === "tiles") return area.keys;
  const found = cellsOf(area.type === "outline" ? [[area.ring]] : polygonsOf(area.geo));
  return found && [...found];
}

/** Show the area; `html[data-tiles]` tells how many tiles it has. @param {any} maps the module map.js, or null @param {any} map */
export function light(maps, map) {
  const keys = chosenTiles();
  document.documentElement.dataset.tiles = keys ? String(keys.length) : "many";
  if (!map) return;
  const area = state.area;
  map.getSource("chosen").setData(maps.collection((keys ?? []).map(square)));
  map.getSource("region").setData(maps.collection(area?.type === "region" ? [{ type: "Feature", properties: {}, geometry: area.geo }] : []));
}
