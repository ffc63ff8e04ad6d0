// @ts-check
// Areas as people bring them: text in GeoJSON, KML or WKT becomes one Polygon or MultiPolygon, or an error in plain words.
import { polygonsOf } from "../map/grid.js";
import { _ } from "../base/i18n.js";

/** Why a text is no area; `code` is for tests and styles, `message` for people. */
export class NoArea extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
    this.status = 422;
    this.details = {};
  }
}

const WGS84 = /(CRS:?84|EPSG:{1,2}4326)$/i;

/** @param {string} text GeoJSON, KML or WKT @returns {any} a GeoJSON Polygon or MultiPolygon */
export function regionOf(text) {
  const plain = text.replace(/^\uFEFF/, "").trim();
  const polygons = plain.startsWith("<") ? fromKml(plain) : plain.startsWith("{") ? fromGeojson(plain) : fromWkt(plain);
  const rings = polygons.map((rings) => rings.map(tidy));
  if (!rings.length) throw new NoArea("area.no_polygon", _("There is no polygon in it. Lines and points are not areas: draw around them."));
  if (rings.flat(2).some(([lon, lat]) => !Number.isFinite(lon) || !Number.isFinite(lat))) throw malformed();
  if (rings.flat(2).some(([lon, lat]) => Math.abs(lon) > 180 || Math.abs(lat) > 90)) throw notDegrees();
  return rings.length === 1 ? { type: "Polygon", coordinates: rings[0] } : { type: "MultiPolygon", coordinates: rings };
}

const malformed = () => new NoArea("region.malformed", _("This is neither GeoJSON nor KML nor WKT that describes an area."));
const notDegrees = () =>
  new NoArea(
    "area.not_degrees",
    [
      _("The coordinates are not degrees; they look like metres (EPSG:5186 or UTM, for example)."),
      _("Export the file again in WGS 84 (EPSG:4326), longitude first."),
    ].join(" "),
  );

/** Two coordinates, to a centimetre; the same place twice in a row is one. @param {any[]} ring @returns {[number, number][]} */
function tidy(ring) {
  if (!Array.isArray(ring)) throw malformed();
  const places = ring.map((at) => {
    if (!Array.isArray(at)) throw malformed();
    return /** @type {[number, number]} */ ([Math.round(at[0] * 1e7) / 1e7, Math.round(at[1] * 1e7) / 1e7]);
  });
  return places.filter((at, i) => !i || String(at) !== String(places[i - 1]));
}

/** @param {string} text @returns {any[][]} */
function fromGeojson(text) {
  let geo;
  try {
    geo = JSON.parse(text);
  } catch {
    throw malformed();
  }
  const crs = geo.crs?.properties?.name ?? (geo.crs ? "?" : "");
  if (crs && !WGS84.test(crs))
    throw new NoArea(
      "area.crs",
      _("The file says that it is in %(crs)s. Export it again in WGS 84 (EPSG:4326), longitude first.", { crs: String(crs).slice(0, 60) }),
    );
  try {
    return polygonsOf(geo);
  } catch {
    throw malformed();
  }
}

/** @param {string} text @returns {any[][]} */
function fromKml(text) {
  const xml = new DOMParser().parseFromString(text, "application/xml");
  if (xml.querySelector("parsererror") || !/^(kml|Document|Folder|Placemark|Polygon|MultiGeometry)$/.test(xml.documentElement.localName))
    throw malformed();
  const within = (/** @type {Element} */ node, /** @type {string} */ name) => [...node.getElementsByTagNameNS("*", name)];
  const ring = (/** @type {Element} */ boundary) => {
    const [coordinates] = within(boundary, "coordinates");
    return (coordinates?.textContent ?? "")
      .trim()
      .split(/\s+/)
      .map((at) => at.split(",").map(Number));
  };
  return within(xml.documentElement, "Polygon").map((polygon) =>
    [...within(polygon, "outerBoundaryIs"), ...within(polygon, "innerBoundaryIs")].map(ring),
  );
}

/** @param {string} text @returns {any[][]} */
function fromWkt(text) {
  const found = /^(?:SRID=(\d+);)?\s*(MULTIPOLYGON|POLYGON)\s*Z?\s*(\(.*\))$/is.exec(text);
  if (!found) throw malformed();
  if (found[1] && found[1] !== "4326")
    throw new NoArea(
      "area.crs",
      _("The file says that it is in %(crs)s. Export it again in WGS 84 (EPSG:4326), longitude first.", { crs: `EPSG:${found[1]}` }),
    );
  const json = found[3]
    .replace(/[-+\d.eE]+(?:\s+[-+\d.eE]+)+/g, (place) => `[${place.trim().split(/\s+/).map(Number).join(",")}]`)
    .replaceAll("(", "[")
    .replaceAll(")", "]");
  try {
    const nested = JSON.parse(json);
    return found[2].toUpperCase() === "POLYGON" ? [nested] : nested;
  } catch {
    throw malformed();
  }
}
