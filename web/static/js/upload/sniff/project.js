// @ts-check
// Transverse Mercator back to degrees, for the systems that Korean files are in; anything else is asked of the exchange, as numbers.

/** @typedef {import("./bytes.js").Box} Box
 * @typedef {{lon0: number, lat0: number, k: number, x0: number, y0: number, a?: number, rf?: number, unit?: number}} Tm metres, degrees */

const GRS80 = { a: 6378137, rf: 298.257222101 };

/** @param {number} lon0 @param {number} y0 @returns {Tm} */
const belt = (lon0, y0) => ({ lon0, lat0: 38, k: 1, x0: 200000, y0 });

/** @type {Record<number, Tm>} KGD2002 by EPSG code: its difference to WGS 84 is below the metre */
const KNOWN = {
  5179: { lon0: 127.5, lat0: 38, k: 0.9996, x0: 1000000, y0: 2000000 },
  5180: belt(125, 500000),
  5181: belt(127, 500000),
  5182: belt(127, 550000),
  5183: belt(129, 500000),
  5184: belt(131, 500000),
  5185: belt(125, 600000),
  5186: belt(127, 600000),
  5187: belt(129, 600000),
  5188: belt(131, 600000),
};

const DEGREES = new Set([4326, 4737, 4979, 4258, 6318]);

/** How coordinates in an EPSG code become degrees here: "degrees", a projection, or null when the exchange must be asked.
 * @param {string} code such as `EPSG:5186` @returns {"degrees" | Tm | null} */
export function systemOf(code) {
  const number = Number(/^EPSG:(\d+)$/.exec(code)?.[1] ?? 0);
  if (DEGREES.has(number) || code === "OGC:CRS84") return "degrees";
  if (number > 32600 && number <= 32660)
    return { lon0: (number - 32600) * 6 - 183, lat0: 0, k: 0.9996, x0: 500000, y0: 0, rf: 298.257223563 };
  if (number > 32700 && number <= 32760)
    return { lon0: (number - 32700) * 6 - 183, lat0: 0, k: 0.9996, x0: 500000, y0: 1e7, rf: 298.257223563 };
  return KNOWN[number] ?? null;
}

/** Degrees of a place in a transverse Mercator projection (Krüger's series to the fourth power of n: below a millimetre in a zone).
 * @param {Tm} tm @param {number} x @param {number} y @returns {[number, number]} lon, lat */
export function inverse(tm, x, y) {
  const { a, rf } = { ...GRS80, ...(tm.a ? { a: tm.a } : {}), ...(tm.rf ? { rf: tm.rf } : {}) };
  const n = 1 / (2 * rf - 1),
    n2 = n * n,
    n3 = n2 * n,
    n4 = n2 * n2;
  const radius = (a / (1 + n)) * (1 + n2 / 4 + n4 / 64);
  const alpha = [
    n / 2 - (2 * n2) / 3 + (5 * n3) / 16 + (41 * n4) / 180,
    (13 * n2) / 48 - (3 * n3) / 5 + (557 * n4) / 1440,
    (61 * n3) / 240 - (103 * n4) / 140,
    (49561 * n4) / 161280,
  ];
  const beta = [
    n / 2 - (2 * n2) / 3 + (37 * n3) / 96 - n4 / 360,
    n2 / 48 + n3 / 15 - (437 * n4) / 1440,
    (17 * n3) / 480 - (37 * n4) / 840,
    (4397 * n4) / 161280,
  ];
  const delta = [
    2 * n - (2 * n2) / 3 - 2 * n3 + (116 * n4) / 45,
    (7 * n2) / 3 - (8 * n3) / 5 - (227 * n4) / 45,
    (56 * n3) / 15 - (136 * n4) / 35,
    (4279 * n4) / 630,
  ];
  const eccentricity = (2 * Math.sqrt(n)) / (1 + n);
  const phi0 = (tm.lat0 * Math.PI) / 180;
  const conformal = Math.atanh(Math.sin(phi0)) - eccentricity * Math.atanh(eccentricity * Math.sin(phi0));
  const chi0 = Math.atan(Math.sinh(conformal));
  const along = radius * (chi0 + alpha.reduce((sum, one, i) => sum + one * Math.sin(2 * (i + 1) * chi0), 0));
  const unit = tm.unit ?? 1;
  const xi = ((y * unit - tm.y0) / tm.k + along) / radius,
    eta = (x * unit - tm.x0) / tm.k / radius;
  const at = (/** @type {number} */ i) => 2 * (i + 1);
  const xi1 = xi - beta.reduce((sum, one, i) => sum + one * Math.sin(at(i) * xi) * Math.cosh(at(i) * eta), 0);
  const eta1 = eta - beta.reduce((sum, one, i) => sum + one * Math.cos(at(i) * xi) * Math.sinh(at(i) * eta), 0);
  const chi = Math.asin(Math.sin(xi1) / Math.cosh(eta1));
  const lat = chi + delta.reduce((sum, one, i) => sum + one * Math.sin(at(i) * chi), 0);
  const lon = tm.lon0 + (Math.atan2(Math.sinh(eta1), Math.cos(xi1)) * 180) / Math.PI;
  return [lon, (lat * 180) / Math.PI];
}

/** A box in degrees, from one in a system; null when a corner is nowhere. @param {Box} own @param {"degrees" | Tm} system
 * @returns {Box | null} */
export function boxFrom(own, system) {
  if (system === "degrees") return own[0] >= -180 && own[2] <= 180 && own[1] >= -90 && own[3] <= 90 ? own : null;
  const [x0, y0, x1, y1] = own;
  const edge = [0, 0.25, 0.5, 0.75, 1].flatMap((t) => {
    const x = x0 + (x1 - x0) * t,
      y = y0 + (y1 - y0) * t;
    return [inverse(system, x, y0), inverse(system, x, y1), inverse(system, x0, y), inverse(system, x1, y)];
  });
  const lons = edge.map(([lon]) => lon),
    lats = edge.map(([, lat]) => lat);
  const box = /** @type {Box} */ ([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)]);
  const isNear = typeof system === "object" && Math.abs(box[0] - system.lon0) < 12 && Math.abs(box[2] - system.lon0) < 12;
  return box.every(Number.isFinite) && isNear && box[1] >= -90 && box[3] <= 90 ? box : null;
}
