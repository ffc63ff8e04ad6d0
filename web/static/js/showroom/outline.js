// @ts-check
// The outline of an area in an address (`a=lon,lat;lon,lat;...`), and boxes as areas.

/** The polygon, or null where there is none. @param {string} hash @returns {{type: "Polygon", coordinates: number[][][]} | null} */
export function areaOf(hash) {
  const text = new URLSearchParams(hash.slice(1)).get("a");
  const ring = (text ?? "").split(";").map((at) => at.split(",").map(Number));
  const isOutline = ring.length > 2 && ring.every((at) => at.length === 2 && at.every(Number.isFinite));
  const isOnEarth = isOutline && ring.every(([lon, lat]) => Math.abs(lon) <= 180 && Math.abs(lat) <= 85);
  return isOnEarth ? { type: "Polygon", coordinates: [[...ring, ring[0]]] } : null;
}

/** A box as a feature to be drawn. @param {number[]} box west, south, east, north */
export function squareOf([w, s, e, n]) {
  const ring = [
    [w, s],
    [e, s],
    [e, n],
    [w, n],
    [w, s],
  ];
  return { type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [ring] } };
}
