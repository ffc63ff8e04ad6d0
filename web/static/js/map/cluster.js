// @ts-check
// Squares that lie far apart: a map opens on where most of them are, and from afar each keeps a smallest size.
import { xOf, yOf } from "./grid.js";

/** Zoom whose cells (some 60 km wide in Korea) belong together when they touch. */
const NEAR = 9;
/** Below this zoom a sale tile is smaller than a dot. */
const FAR = 10.5;

/** West, south, east, north of the squares that lie together and are the most, or null.
 * @param {any[]} features polygons @returns {[number, number, number, number] | null} */
export function densestBox(features) {
  /** @type {Map<string, [number, number][]>} */
  const cells = new Map();
  for (const feature of features) {
    for (const ring of ringsOf(feature.geometry)) {
      const [lon, lat] = middle(ring);
      const key = `${Math.floor(xOf(lon, NEAR))},${Math.floor(yOf(lat, NEAR))}`;
      cells.set(key, [...(cells.get(key) ?? []), ...ring]);
    }
  }
  let most = /** @type {[number, number][]} */ ([]);
  while (cells.size) {
    const found = together(cells);
    if (found.length > most.length) most = found;
  }
  if (!most.length) return null;
  const lons = most.map(([lon]) => lon),
    lats = most.map(([, lat]) => lat);
  return [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
}

/** Take one cell and all that touch it out of `cells`; their corners. @param {Map<string, [number, number][]>} cells */
function together(cells) {
  const todo = [[...cells.keys()][0]];
  /** @type {[number, number][]} */
  const found = [];
  while (todo.length) {
    const key = /** @type {string} */ (todo.pop());
    const corners = cells.get(key);
    if (!corners) continue;
    cells.delete(key);
    for (const corner of corners) found.push(corner);
    const [x, y] = key.split(",").map(Number);
    for (let dx = -1; dx <= 1; dx++) for (let dy = -1; dy <= 1; dy++) todo.push(`${x + dx},${y + dy}`);
  }
  return found;
}

/** @param {any} geometry @returns {[number, number][][]} */
const ringsOf = (geometry) =>
  geometry.type === "Polygon" ? [geometry.coordinates[0]] : geometry.coordinates.map((/** @type {any} */ polygon) => polygon[0]);

/** @param {[number, number][]} ring @returns {[number, number]} */
function middle(ring) {
  const xs = ring.map(([lon]) => lon),
    ys = ring.map(([, lat]) => lat);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}

/** Dots for squares that are too small to be seen. @param {any} map @param {string} name @param {any[]} features polygons
 * @param {{colour: any, below?: number}} look `below`: the zoom up to which they are needed */
export function dots(map, name, features, { colour, below = FAR }) {
  const points = features.map((one) => ({
    type: "Feature",
    properties: one.properties ?? {},
    geometry: { type: "Point", coordinates: middle(ringsOf(one.geometry)[0]) },
  }));
  map.addSource(`${name}-dots`, { type: "geojson", data: { type: "FeatureCollection", features: points } });
  map.addLayer({
    id: `${name}-dots`,
    type: "circle",
    source: `${name}-dots`,
    maxzoom: below,
    paint: {
      "circle-radius": 5,
      "circle-color": colour,
      "circle-opacity": 0.85,
      "circle-stroke-color": "#0a1420",
      "circle-stroke-width": 1,
    },
  });
}
