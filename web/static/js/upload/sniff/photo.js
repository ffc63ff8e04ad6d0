// @ts-check
// JPEG: where it was taken, from the GPS record of its EXIF data.
import { latin, sniffed, view } from "./bytes.js";

/** @param {Blob} file @returns {Promise<import("./bytes.js").Sniffed>} */
export async function photo(file) {
  const bytes = await view(file, 0, 1 << 17);
  let at = null;
  try {
    at = positionIn(bytes);
  } catch {
    at = null; // an offset beyond what was read: as good as no position
  }
  if (!at) return sniffed({ format: "JPEG", kind: "photos", notes: ["no_gps"] });
  const [lon, lat] = at;
  return sniffed({ format: "JPEG", kind: "photos", crs: "EPSG:4326", own: [lon, lat, lon, lat] });
}

/** @param {DataView} bytes @returns {[number, number] | null} */
function positionIn(bytes) {
  for (let at = 2; at + 4 < bytes.byteLength && bytes.getUint8(at) === 0xff; at += 2 + bytes.getUint16(at + 2)) {
    const marker = bytes.getUint8(at + 1);
    if (marker === 0xda) return null; // the picture begins
    if (marker === 0xe1 && latin(bytes, at + 4, 6) === "Exif") return gps(bytes, at + 10);
  }
  return null;
}

/** @param {DataView} bytes @param {number} base @returns {[number, number] | null} */
function gps(bytes, base) {
  const little = bytes.getUint16(base) === 0x4949;
  const u16 = (/** @type {number} */ at) => bytes.getUint16(base + at, little),
    u32 = (/** @type {number} */ at) => bytes.getUint32(base + at, little);
  /** Offset of the entry of a tag in a directory. @param {number} start @param {number} tag */
  const entry = (start, tag) => {
    for (let i = 0, at = start + 2; i < u16(start); i++, at += 12) if (u16(at) === tag) return at;
    return 0;
  };
  const link = entry(u32(4), 0x8825);
  if (!link) return null;
  const start = u32(link + 8);
  /** @param {number} side @param {number} value @param {string} negative */
  const degrees = (side, value, negative) => {
    const [named, at] = [entry(start, side), entry(start, value)];
    if (!named || !at || u32(at + 4) !== 3) return NaN;
    const [d, m, s] = [0, 8, 16].map((step) => u32(u32(at + 8) + step) / (u32(u32(at + 8) + step + 4) || NaN));
    return (d + (m || 0) / 60 + (s || 0) / 3600) * (latin(bytes, base + named + 8, 1) === negative ? -1 : 1);
  };
  const lat = degrees(1, 2, "S"),
    lon = degrees(3, 4, "W");
  return Number.isFinite(lat) && Number.isFinite(lon) && Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? [lon, lat] : null;
}
