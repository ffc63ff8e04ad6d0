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
const EPSG = /EPSG:{1,2}\d{4,6}$/i;

/** @param {string} text GeoJSON, KML or WKT
 * @returns {any} a GeoJSON Polygon or MultiPolygon; its member `crs` names the system, when it is another than WGS 84 */
export function regionOf(text) {
  const plain = text.replace(/^\uFEFF/, "").trim();
  const [polygons, crs] = plain.startsWith("<") ? [fromKml(plain), ""] : plain.startsWith("{") ? fromGeojson(plain) : fromWkt(plain);
  const rings = polygons.map((rings) => rings.map(tidy));
  if (!rings.length) throw new NoArea("area.no_polygon", _("There is no polygon in it. Lines and points are not areas: draw around them."));
  if (rings.flat(2).some(([lon, lat]) => !Number.isFinite(lon) || !Number.isFinite(lat))) throw malformed();
  const geo = rings.length === 1 ? { type: "Polygon", coordinates: rings[0] } : { type: "MultiPolygon", coordinates: rings };
  return crs ? inSystem(geo, crs) : geo;
}

/** The same numbers, marked as those of a system. @param {any} geo @param {string} crs such as EPSG:5186 */
export const inSystem = (geo, crs) => ({ ...geo, crs: { type: "name", properties: { name: crs } } });

/** The same places with the two numbers of each exchanged. @param {any} geo a Polygon or MultiPolygon */
export function exchanged(geo) {
  const turn = (/** @type {any} */ value) => (typeof value[0] === "number" ? [value[1], value[0]] : value.map(turn));
  return { ...geo, coordinates: turn(geo.coordinates) };
}

/** Whether all numbers can be degrees, and no system is named. @param {any} geo a Polygon or MultiPolygon */
export const isDegrees = (geo) => !geo.crs && geo.coordinates.flat(geo.type === "Polygon" ? 1 : 2).every(isPlace);

/** @param {number[]} position */
const isPlace = ([lon, lat]) => Math.abs(lon) <= 180 && Math.abs(lat) <= 85.0511;

const malformed = () => new NoArea("region.malformed", _("This is neither GeoJSON nor KML nor WKT that describes an area."));
/** Two coordinates, to a centimetre; the same place twice in a row is one. @param {any[]} ring @returns {[number, number][]} */
function tidy(ring) {
  if (!Array.isArray(ring)) throw malformed();
  const places = ring.map((at) => {
    if (!Array.isArray(at)) throw malformed();
    return /** @type {[number, number]} */ ([Math.round(at[0] * 1e7) / 1e7, Math.round(at[1] * 1e7) / 1e7]);
  });
  return places.filter((at, i) => !i || String(at) !== String(places[i - 1]));
}

/** @param {string} text @returns {[any[][], string]} */
function fromGeojson(text) {
  let geo;
  try {
    geo = JSON.parse(text);
  } catch {
    throw malformed();
  }
  const crs = String(geo.crs?.properties?.name ?? (geo.crs ? "?" : ""));
  if (crs && !WGS84.test(crs) && !EPSG.test(crs))
    throw new NoArea(
      "area.crs",
      _("The file says that it is in %(crs)s. Export it again in WGS 84 (EPSG:4326), longitude first.", { crs: crs.slice(0, 60) }),
    );
  try {
    return [polygonsOf(geo), WGS84.test(crs) ? "" : crs];
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

/** @param {string} text @returns {[any[][], string]} */
function fromWkt(text) {
  const found = /^(?:SRID=(\d+);)?\s*(MULTIPOLYGON|POLYGON)\s*Z?\s*(\(.*\))$/is.exec(text);
  if (!found) throw malformed();
  const crs = found[1] && found[1] !== "4326" ? `EPSG:${found[1]}` : "";
  const json = found[3]
    .replace(/[-+\d.eE]+(?:\s+[-+\d.eE]+)+/g, (place) => `[${place.trim().split(/\s+/).map(Number).join(",")}]`)
    .replaceAll("(", "[")
    .replaceAll(")", "]");
  try {
    const nested = JSON.parse(json);
    return [found[2].toUpperCase() === "POLYGON" ? [nested] : nested, crs];
  } catch {
    throw malformed();
  }
}
