// @ts-check
// The sale grid in the browser: z16 cells, quadkeys, and the cells that an area meets (as tiles/grid/scan.py: touching an edge is not
// meeting).

export const ZOOM = 16;
const LIMIT = 85.0511287798066;
/** @typedef {[number, number][]} Ring */

/** @param {number} lon @param {number} z */
export const xOf = (lon, z = ZOOM) => ((lon + 180) / 360) * 2 ** z;
/** @param {number} lat @param {number} z */
export function yOf(lat, z = ZOOM) {
  const s = Math.sin((Math.max(-LIMIT, Math.min(LIMIT, lat)) * Math.PI) / 180);
  return (0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)) * 2 ** z;
}
/** @param {number} x @param {number} z */
export const lonOf = (x, z = ZOOM) => (x / 2 ** z) * 360 - 180;
/** @param {number} y @param {number} z */
export const latOf = (y, z = ZOOM) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * y) / 2 ** z))) * 180) / Math.PI;

/** @param {number} x @param {number} y @param {number} z */
export function quadkey(x, y, z = ZOOM) {
  let key = "";
  for (let i = z - 1; i >= 0; i--) key += String(((x >> i) & 1) | (((y >> i) & 1) << 1));
  return key;
}

/** @param {string} key @returns {[number, number]} */
export function xyOf(key) {
  let [x, y] = [0, 0];
  for (const digit of key) [x, y] = [x * 2 + (Number(digit) & 1), y * 2 + (Number(digit) >> 1)];
  return [x, y];
}

/** West, south, east, north. @param {number} x @param {number} y @param {number} z @returns {[number, number, number, number]} */
export const boundsOf = (x, y, z = ZOOM) => [lonOf(x, z), latOf(y + 1, z), lonOf(x + 1, z), latOf(y, z)];

/** The square of a quadkey as a GeoJSON feature. @param {string} key */
export function square(key) {
  const [w, s, e, n] = boundsOf(...xyOf(key), key.length);
  return {
    type: "Feature",
    properties: { tile: key },
    geometry: {
      type: "Polygon",
      coordinates: [
        [
          [w, s],
          [e, s],
          [e, n],
          [w, n],
          [w, s],
        ],
      ],
    },
  };
}

/** Cells that polygons (outer ring first, then holes) meet, or null when there are more than `most`.
 * Each ring is clipped to ever smaller squares, in degrees like the server does, until nothing is left or the cell is reached.
 * @param {Ring[][]} polygons @param {number} most @returns {Set<string> | null} */
export function cellsOf(polygons, most = 4000) {
  /** @type {Set<string>} */
  const found = new Set();
  /** @param {Ring[]} rings @param {number} x @param {number} y @param {number} z @returns {boolean} */
  const descend = (rings, x, y, z) => {
    const [w, s, e, n] = boundsOf(x, y, z);
    const left = rings.map((ring) => clip(ring, w, s, e, n));
    const size = Math.abs(areaOf(left[0])) - left.slice(1).reduce((sum, hole) => sum + Math.abs(areaOf(hole)), 0);
    if (size <= (e - w) * (n - s) * 1e-9) return true;
    if (z === ZOOM) return found.add(quadkey(x, y)).size <= most;
    return [0, 1, 2, 3].every((i) => descend(left, x * 2 + (i & 1), y * 2 + (i >> 1), z + 1));
  };
  for (const rings of polygons) {
    if (!rings.length) continue;
    const on = onBorders(rings);
    const [z, x, y] = around(on[0]);
    if (!descend(on, x, y, z)) return null;
  }
  return found;
}

/** Degrees that a rounded coordinate may be off (as tiles/grid/borders.py). */
const ROUNDING = 6e-7;

/** Rings with their corners on the borders of the cells that they are next to; one so small that it would lose its form stays.
 * @param {Ring[]} rings @returns {Ring[]} */
function onBorders(rings) {
  const near = (/** @type {number} */ value, /** @type {number} */ border) => (Math.abs(value - border) < ROUNDING ? border : value);
  const moved = rings.map((ring) =>
    ring.map(
      ([lon, lat]) => /** @type {[number, number]} */ ([near(lon, lonOf(Math.round(xOf(lon)))), near(lat, latOf(Math.round(yOf(lat))))]),
    ),
  );
  return Math.abs(areaOf(moved[0])) > 0.99 * Math.abs(areaOf(rings[0])) ? moved : rings;
}

/** The smallest tile that holds a ring: zoom, x, y. @param {Ring} ring @returns {[number, number, number]} */
function around(ring) {
  const xs = ring.map(([lon]) => xOf(lon)),
    ys = ring.map(([, lat]) => yOf(lat));
  let [x0, y0, x1, y1] = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)].map(Math.floor);
  let z = ZOOM;
  while ((x0 !== x1 || y0 !== y1) && z > 0) [x0, y0, x1, y1, z] = [x0 >> 1, y0 >> 1, x1 >> 1, y1 >> 1, z - 1];
  return [z, x0, y0];
}

/** Sutherland–Hodgman. @param {Ring} ring @param {number} w @param {number} s @param {number} e @param {number} n @returns {Ring} */
function clip(ring, w, s, e, n) {
  /** @type {[number, number, number][]} axis, sign, limit */
  const edges = [
    [0, 1, w],
    [0, -1, e],
    [1, 1, s],
    [1, -1, n],
  ];
  return edges.reduce((points, [axis, sign, limit]) => {
    /** @type {Ring} */
    const kept = [];
    for (let i = 0; i < points.length; i++) {
      const a = points[i],
        b = points[(i + 1) % points.length];
      const inA = sign * (a[axis] - limit) >= 0,
        inB = sign * (b[axis] - limit) >= 0;
      if (inA) kept.push(a);
      if (inA !== inB) {
        const t = (limit - a[axis]) / (b[axis] - a[axis]);
        kept.push(axis ? [a[0] + t * (b[0] - a[0]), limit] : [limit, a[1] + t * (b[1] - a[1])]);
      }
    }
    return kept;
  }, ring);
}

/** Signed area in square degrees. @param {Ring} ring */
function areaOf(ring) {
  let sum = 0;
  for (let i = 0; i < ring.length; i++) {
    const [ax, ay] = ring[i],
      [bx, by] = ring[(i + 1) % ring.length];
    sum += (ax - ring[0][0]) * (by - ring[0][1]) - (bx - ring[0][0]) * (ay - ring[0][1]);
  }
  return sum / 2;
}

/** Polygons (rings of [lon, lat]) of any GeoJSON object. @param {any} geo @returns {Ring[][]} */
export function polygonsOf(geo) {
  if (!geo) return [];
  if (geo.type === "FeatureCollection") return geo.features.flatMap(polygonsOf);
  if (geo.type === "Feature") return polygonsOf(geo.geometry);
  if (geo.type === "GeometryCollection") return geo.geometries.flatMap(polygonsOf);
  if (geo.type === "Polygon") return [geo.coordinates];
  return geo.type === "MultiPolygon" ? geo.coordinates : [];
}
