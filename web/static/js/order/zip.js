// @ts-check
// One archive of many files, in the browser: ZIP without compression (tiles are compressed already), file after file, no library.
// What is large (4 GiB, 65,535 files) goes into ZIP64 records.

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

const FULL = 0xffffffff;

/** An archive that grows; `write` gets its parts in their order. */
export class Archive {
  /** @param {(part: BlobPart) => void | Promise<void>} write @param {number} [limit] from where on ZIP64 is needed */
  constructor(write, limit = FULL) {
    this.write = write;
    this.limit = limit;
    /** @type {Uint8Array<ArrayBuffer>[]} */
    this.directory = [];
    this.at = 0;
  }

  /** @param {Entry} entry */
  async add(entry) {
    const name = new TextEncoder().encode(entry.path);
    // Version 2.0 (4.5 with ZIP64), names in UTF-8 (bit 11), stored, 1 January 1980: the same files make the same archive.
    const large = entry.size >= this.limit || this.at >= this.limit;
    const common = words(large ? 45 : 20, 0x0800, 0, 0, 0x21).concat(
      longs(entry.crc, ...(large ? [FULL, FULL] : [entry.size, entry.size])),
    );
    const both = large ? [...words(1, 16), ...quads(entry.size, entry.size)] : [];
    const place = large ? [...words(1, 24), ...quads(entry.size, entry.size, this.at)] : [];
    const head = Uint8Array.from([...longs(0x04034b50), ...common, ...words(name.length, both.length), ...name, ...both]);
    const line = [
      ...longs(0x02014b50),
      ...words(large ? 45 : 20),
      ...common,
      ...words(name.length, place.length, 0, 0, 0),
      ...longs(0, large ? FULL : this.at),
    ];
    this.directory.push(Uint8Array.from([...line, ...name, ...place]));
    await this.write(head);
    await this.write(entry.body);
    this.at += head.length + entry.size;
  }

  async end() {
    const [start, count] = [this.at, this.directory.length];
    const length = this.directory.reduce((sum, line) => sum + line.length, 0);
    for (const line of this.directory) await this.write(line);
    const large = start >= this.limit || start + length >= this.limit || count >= 0xffff;
    if (large) {
      const record = [...longs(0x06064b50), ...quads(44), ...words(45, 45), ...longs(0, 0), ...quads(count, count, length, start)];
      await this.write(Uint8Array.from([...record, ...longs(0x07064b50, 0), ...quads(start + length), ...longs(1)]));
    }
    const counts = large ? [0xffff, 0xffff] : [count, count];
    await this.write(
      Uint8Array.from([
        ...longs(0x06054b50),
        ...words(0, 0, ...counts),
        ...longs(...(large ? [FULL, FULL] : [length, start])),
        ...words(0),
      ]),
    );
  }
}

/** @param {...number} values */
const words = (...values) => values.flatMap((value) => [value & 255, (value >> 8) & 255]);
/** @param {...number} values */
const longs = (...values) => values.flatMap((value) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]);
/** @param {...number} values */
const quads = (...values) => values.flatMap((value) => longs(value % 2 ** 32, Math.floor(value / 2 ** 32)));
