// @ts-check
// The map of what a version changes: new, changed and removed tiles, each with a colour and a pattern of its own; the rest is faint.
import { addMarks, boxOf, canDraw, collection, createMap } from "../map/map.js";
import { square } from "../map/grid.js";

const SIDE = 12;
/** Colour and pattern: whether the pixel (x, y) of a 12 px square is set.
 * @type {Record<string, [string, (x: number, y: number) => boolean]>} */
const MARKS = {
  added: ["#6fdba4", (x, y) => (x + y) % 6 < 2],
  changed: ["#ffcf70", (x, y) => x % 6 < 2 && y % 6 < 2],
  removed: ["#ff8f85", (x, y) => (x + y) % 12 < 1 || (x - y + 12) % 12 < 1],
};

/** One status for each tile: a tile with several layers of different fates is changed. @param {any} layers
 * @param {any} cells GeoJSON of the version */
export function statuses(layers, cells) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const layer of Object.values(layers)) {
    for (const status of ["added", "changed", "removed"])
      for (const tile of layer[status]) found.set(tile, found.has(tile) && found.get(tile) !== status ? "changed" : status);
  }
  for (const { properties } of cells.features) {
    const before = found.get(properties.tile);
    const named = properties.layers.some((/** @type {string} */ name) =>
      ["added", "changed"].some((status) => layers[name]?.[status].includes(properties.tile)),
    );
    if (!before) found.set(properties.tile, "same");
    else if (before === "removed" && !named) found.set(properties.tile, "changed"); // one layer is gone, another is still there
  }
  return found;
}

/** @param {any} map @param {string} status */
function addPattern(map, status) {
  const [colour, isSet] = MARKS[status];
  const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const data = new Uint8Array(SIDE * SIDE * 4);
  for (let y = 0; y < SIDE; y++) for (let x = 0; x < SIDE; x++) data.set([...rgb, isSet(x, y) ? 230 : 50], (y * SIDE + x) * 4);
  map.addImage(status, { width: SIDE, height: SIDE, data });
  map.addLayer({
    id: status,
    type: "fill",
    source: "differences",
    filter: ["==", ["get", "status"], status],
    paint: { "fill-pattern": status },
  });
  map.addLayer({
    id: `${status}-line`,
    type: "line",
    source: "differences",
    filter: ["==", ["get", "status"], status],
    paint: { "line-color": colour, "line-width": 1.2 },
  });
}

/** The map in `container`; null without WebGL. @param {HTMLElement} container @param {any} layers @param {any} cells
 * @returns {Promise<any>} */
export async function showDifferences(container, layers, cells) {
  if (!canDraw()) return null;
  const found = statuses(layers, cells);
  const data = collection([...found].map(([tile, status]) => ({ ...square(tile), properties: { tile, status } })));
  const box = boxOf(data);
  const map = await createMap(container, box ? { bounds: box, fitBoundsOptions: { padding: 30, maxZoom: 16 } } : {});
  map.addSource("differences", { type: "geojson", data });
  map.addLayer({
    id: "same",
    type: "fill",
    source: "differences",
    filter: ["==", ["get", "status"], "same"],
    paint: { "fill-color": "#9fb0c5", "fill-opacity": 0.16, "fill-outline-color": "#9fb0c5" },
  });
  for (const status of Object.keys(MARKS)) addPattern(map, status);
  addMarks(map, "square", 0.1);
  const showSquare = (/** @type {string} */ tile) => {
    const outline = square(tile);
    map.getSource("square").setData(outline);
    map.fitBounds(boxOf(outline), { padding: 60, maxZoom: 16, animate: false });
    document.documentElement.dataset.shown = tile;
  };
  return { map, count: found.size, showSquare };
}
