// @ts-check
// GeoJSON, Lanelet2/OSM and OpenDRIVE text (looked at in pieces), shapefiles with their .prj, FlatGeobuf headers.
import { boxOfPairs, latin, pieces, sniffed, text, view } from "./bytes.js";
import { readWkt } from "./wkt.js";

/** @typedef {import("./bytes.js").Sniffed} Sniffed */

const NUMBER = "[-+]?\\d+(?:\\.\\d*)?(?:[eE][-+]?\\d+)?";

/** @param {Blob} file @param {string} name @returns {Promise<Sniffed>} */
export async function geojson(file, name) {
  const { pieces: read, isWhole } = await pieces(file);
  /** @type {[number, number][]} */
  const pairs = [];
  for (const piece of read) {
    for (const [, body] of piece.matchAll(/"coordinates"\s*:\s*([[\]\d\s,.eE+-]*)/g)) {
      for (const [, x, y] of body.matchAll(new RegExp(`\\[\\s*(${NUMBER})\\s*,\\s*(${NUMBER})`, "g"))) pairs.push([Number(x), Number(y)]);
    }
  }
  const named = /"crs"\s*:\s*\{[^{}]*\{[^{}]*"name"\s*:\s*"([^"]{1,200})"/.exec(read[0])?.[1] ?? "";
  const code = /EPSG:(?:[\d.]*:)?(\d+)$/i.exec(named)?.[1];
  const isWalk =
    /\.(nodes|edges|points|lines|zones|polygons)(\.osw)?\.geojson$/i.test(name) ||
    read[0].slice(0, 2000).toLowerCase().includes("opensidewalks");
  const crs = code ? `EPSG:${code}` : "EPSG:4326"; // RFC 7946, when the file says nothing
  const facts = { format: isWalk ? "OpenSidewalks" : "GeoJSON", kind: isWalk ? "sidewalk" : "", crs, own: boxOfPairs(pairs) };
  return sniffed({ ...facts, notes: [...(isWhole ? [] : ["part"]), ...(pairs.length ? [] : ["empty"])] });
}

/** @param {Blob} file @returns {Promise<Sniffed>} */
export async function osm(file) {
  const { pieces: read, isWhole } = await pieces(file);
  /** @type {[number, number][]} */
  const pairs = [];
  let isLocal = false,
    isEdited = false;
  for (const piece of read) {
    for (const [tag] of piece.matchAll(/<node\b[^>]*>/g)) {
      const lat = /\blat=["']([^"']+)["']/.exec(tag)?.[1],
        lon = /\blon=["']([^"']+)["']/.exec(tag)?.[1];
      if (lat && lon) pairs.push([Number(lon), Number(lat)]);
    }
    isLocal ||= /k=["']local_x["']/.test(piece);
    isEdited ||= /k=["']type["'] v=["']lanelet["']|v=["']lanelet["'] k=["']type["']/.test(piece);
  }
  const own = boxOfPairs(pairs);
  const isNowhere = !own || own.every((value) => Math.abs(value) < 1);
  const notes = [...(isWhole ? [] : ["part"]), ...(isNowhere && isLocal ? ["local"] : [])];
  return sniffed({
    format: isEdited || isLocal ? "Lanelet2" : "OSM XML",
    kind: isEdited || isLocal ? "hdmap" : "",
    crs: isNowhere ? "" : "EPSG:4326",
    own: isNowhere && isLocal ? null : own,
    notes,
  });
}

/** Only what is plainly stated is placed here; the exchange knows all the ways in which a geoReference can be wrong.
 * @param {Blob} file @returns {Promise<Sniffed & {system?: any}>} */
export async function opendrive(file) {
  const { pieces: read, isWhole } = await pieces(file);
  /** @type {[number, number][]} */
  const pairs = [];
  for (const piece of read) {
    for (const [tag] of piece.matchAll(/<geometry\b[^>]*>/g)) pairs.push([numberOf(tag, "x"), numberOf(tag, "y")]);
  }
  const stated = /<geoReference>\s*(?:<!\[CDATA\[)?([^<\]]{1,4000})/.exec(read[0])?.[1]?.trim() ?? "";
  const facts = { format: "OpenDRIVE", kind: "hdmap" };
  const notes = isWhole ? [] : ["part"];
  if (!stated) return sniffed({ ...facts, own: boxOfPairs(pairs), notes });
  if (/<offset\b/.test(read[0].slice(0, 20_000))) return sniffed({ ...facts, notes: [...notes, "later"] });
  const code = /^(?:\+init=)?(EPSG:\d+)$/i.exec(stated)?.[1]?.toUpperCase() ?? "";
  const system = code ? null : mercator(stated);
  if (system && system.lat0 === 0 && system.lon0 === 0) return sniffed({ ...facts, notes: [...notes, "null_island"] });
  if (!code && !system) return sniffed({ ...facts, notes: [...notes, "later"] });
  return { ...sniffed({ ...facts, crs: code, own: boxOfPairs(pairs), notes }), ...(system ? { system } : {}) };
}

/** The attribute of an XML tag as a number. @param {string} tag @param {string} name */
const numberOf = (tag, name) => Number(new RegExp(`\\s${name}=["']([^"']+)["']`).exec(tag)?.[1] ?? NaN);

/** A transverse Mercator projection on WGS 84 without a false origin; null for anything else. @param {string} stated */
function mercator(stated) {
  const named = Object.fromEntries([...stated.matchAll(/\+(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
  const [lon0, lat0, k] = [named.lon_0, named.lat_0, named.k ?? named.k_0 ?? "1"].map(Number);
  const isPlain = named.proj === "tmerc" && !Number(named.x_0 ?? 0) && !Number(named.y_0 ?? 0) && (named.units ?? "m") === "m";
  const isWgs84 = (named.datum ?? named.ellps ?? "WGS84") === "WGS84" && !named.towgs84;
  return isPlain && isWgs84 && [lon0, lat0, k].every(Number.isFinite) ? { lon0, lat0, k, x0: 0, y0: 0, rf: 298.257223563 } : null;
}

/** @param {Blob} file @param {Blob | null} prj its .prj file @returns {Promise<Sniffed>} */
export async function shapefile(file, prj) {
  const head = await view(file, 0, 100);
  if (head.byteLength < 100) return sniffed({ format: "Shapefile", notes: ["cut"] });
  const own = /** @type {import("./bytes.js").Box} */ ([36, 44, 52, 60].map((at) => head.getFloat64(at, true)));
  const stated = prj ? readWkt(await text(prj, 0, 20_000)) : null;
  const isGood = own.every(Number.isFinite) && own[0] <= own[2] && own[1] <= own[3];
  const system = stated ? { crs: stated.code, crsName: stated.name, height: stated.height, system: stated.system } : {};
  return sniffed({ format: "Shapefile", own: isGood ? own : null, ...system, notes: prj ? [] : ["no_prj"] });
}

/** @param {Blob} file @returns {Promise<Sniffed>} */
export async function flatgeobuf(file) {
  const bytes = await view(file, 0, 1 << 16);
  try {
    const root = 12 + bytes.getUint32(12, true);
    const envelope = field(bytes, root, 1),
      system = field(bytes, root, 10),
      features = field(bytes, root, 8);
    const vector = envelope ? envelope + bytes.getUint32(envelope, true) : 0;
    const has = vector && bytes.getUint32(vector, true) >= 4;
    const own = has ? /** @type {import("./bytes.js").Box} */ ([0, 1, 2, 3].map((i) => bytes.getFloat64(vector + 4 + i * 8, true))) : null;
    const crs = system ? codeOf(bytes, system + bytes.getUint32(system, true)) : "";
    return sniffed({ format: "FlatGeobuf", own, crs, count: features ? Number(bytes.getBigUint64(features, true)) : 0 });
  } catch {
    return sniffed({ format: "FlatGeobuf", notes: ["cut"] }); // an offset beyond what was read
  }
}

/** Where field `index` of a FlatBuffers table is, or 0. @param {DataView} bytes @param {number} table @param {number} index */
function field(bytes, table, index) {
  const shape = table - bytes.getInt32(table, true);
  if (4 + index * 2 >= bytes.getUint16(shape, true)) return 0;
  const at = bytes.getUint16(shape + 4 + index * 2, true);
  return at ? table + at : 0;
}

/** @param {DataView} bytes @param {number} table */
function codeOf(bytes, table) {
  const code = field(bytes, table, 1),
    org = field(bytes, table, 0);
  const start = org ? org + bytes.getUint32(org, true) : 0;
  const name = start ? latin(bytes, start + 4, bytes.getUint32(start, true)) : "EPSG";
  return code && name === "EPSG" ? `EPSG:${bytes.getInt32(code, true)}` : "";
}
