// @ts-check
// One archive of many files, in the browser: ZIP without compression (tiles are compressed already), made of blobs, no library.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

/** CRC-32 as in ZIP. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** @typedef {{path: string, crc: number, size: number, body: Blob}} Entry */

/** The archive; below 4 GiB and 65,535 files. @param {Entry[]} entries @returns {Blob} */
export function archive(entries) {
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {BlobPart[]} */
  const directory = [];
  let at = 0, length = 0;
  for (const entry of entries) {
    const name = new TextEncoder().encode(entry.path);
    // Version 2.0, names in UTF-8 (bit 11), stored, 1 January 1980: the same files make the same archive.
    const common = words(20, 0x0800, 0, 0, 0x21).concat(longs(entry.crc, entry.size, entry.size), words(name.length, 0));
    const head = Uint8Array.from([...longs(0x04034b50), ...common, ...name]);
    const line = Uint8Array.from([...longs(0x02014b50), ...words(20), ...common, ...words(0, 0, 0), ...longs(0, at), ...name]);
    parts.push(head, entry.body);
    directory.push(line);
    at += head.length + entry.size;
    length += line.length;
  }
  const end = Uint8Array.from([...longs(0x06054b50), ...words(0, 0, entries.length, entries.length), ...longs(length, at), ...words(0)]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** @param {...number} values */
const words = (...values) => values.flatMap((value) => [value & 255, (value >> 8) & 255]);
/** @param {...number} values */
const longs = (...values) => values.flatMap((value) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]);
