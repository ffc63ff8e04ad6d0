// @ts-check
// LAS, LAZ and COPC: version, points and bounds from the header; the coordinate system from its records (WKT or GeoTIFF keys).
import { latin, sniffed, view } from "./bytes.js";
import { HEIGHT_CODES, readWkt } from "./wkt.js";

const MOST_RECORDS = 100,
  MOST_BYTES = 1 << 20;

/** @param {Blob} file @returns {Promise<import("./bytes.js").Sniffed>} */
export async function las(file) {
  const head = await view(file, 0, 375);
  if (head.byteLength < 227) return sniffed({ format: "LAS", kind: "pointcloud", notes: ["cut"] });
  const [major, minor] = [head.getUint8(24), head.getUint8(25)];
  const f64 = (/** @type {number} */ at) => head.getFloat64(at, true);
  const own = /** @type {import("./bytes.js").Box} */ ([f64(187), f64(203), f64(179), f64(195)]);
  const isNew = minor >= 4 && head.byteLength >= 375;
  const count = isNew ? Number(head.getBigUint64(247, true)) : head.getUint32(107, true);
  const records = await recordsOf(file, head, isNew);
  const isPacked = Boolean(head.getUint8(104) & 0x80);
  const format = records.some((record) => record.user === "copc") ? "COPC" : `${isPacked ? "LAZ" : "LAS"} ${major}.${minor}`;
  const isGood = own.every(Number.isFinite) && own[0] <= own[2] && own[1] <= own[3];
  return sniffed({ format, kind: "pointcloud", count, own: isGood ? own : null, ...systemOf(records) });
}

/** @typedef {{user: string, id: number, body: DataView}} Rec */

/** @param {Blob} file @param {DataView} head @param {boolean} isNew @returns {Promise<Rec[]>} */
async function recordsOf(file, head, isNew) {
  const start = head.getUint16(94, true),
    count = Math.min(head.getUint32(100, true), MOST_RECORDS);
  const found = walk(await view(file, start, Math.min(MOST_BYTES, Math.max(0, head.getUint32(96, true) - start))), count, false);
  if (!isNew) return found;
  const extended = Number(head.getBigUint64(235, true)),
    more = Math.min(head.getUint32(243, true), MOST_RECORDS);
  return more && extended < file.size ? [...found, ...walk(await view(file, extended, MOST_BYTES), more, true)] : found;
}

/** @param {DataView} bytes @param {number} count @param {boolean} isExtended @returns {Rec[]} */
function walk(bytes, count, isExtended) {
  const header = isExtended ? 60 : 54,
    found = [];
  for (let at = 0, i = 0; i < count && at + header <= bytes.byteLength; i++) {
    const size = isExtended ? Number(bytes.getBigUint64(at + 20, true)) : bytes.getUint16(at + 20, true);
    const end = Math.min(at + header + size, bytes.byteLength);
    found.push({
      user: latin(bytes, at + 2, 16),
      id: bytes.getUint16(at + 18, true),
      body: new DataView(bytes.buffer, bytes.byteOffset + at + header, end - at - header),
    });
    at += header + size;
  }
  return found;
}

/** @param {Rec[]} records */
function systemOf(records) {
  const projection = records.filter((record) => record.user === "LASF_Projection");
  const wkt = projection.find((record) => record.id === 2112);
  const stated = wkt ? readWkt(new TextDecoder().decode(wkt.body).replace(/\0+$/, "")) : null;
  if (stated) return { crs: stated.code, crsName: stated.name, height: stated.height, system: stated.system };
  const keys = projection.find((record) => record.id === 34735)?.body;
  if (!keys || keys.byteLength < 8) return {};
  /** @type {Record<number, number>} */
  const codes = {};
  for (let i = 1; i <= Math.min(keys.getUint16(6, true), (keys.byteLength - 8) / 8); i++)
    codes[keys.getUint16(i * 8, true)] = keys.getUint16(i * 8 + 6, true);
  const code = [codes[3072], codes[2048]].find((one) => one > 1024 && one < 32767);
  return { crs: code ? `EPSG:${code}` : "", height: HEIGHT_CODES[codes[4096]] ?? "" };
}
