// @ts-check
// Bounded reads of a file, and what all sniffers answer. Nothing here touches the page, so it also runs under Node.

/** What a look at a file finds. `own`: least x, least y, greatest x, greatest y as the file writes them; `box`: the same in degrees
 * WGS 84, when that is known without asking anybody. `notes` are codes that `facts.js` has words for.
 * @typedef {[number, number, number, number]} Box
 * @typedef {{format: string, kind: string, crs: string, crsName: string, height: string,
 *   count: number, own: Box | null, box: Box | null, notes: string[], columns: string[]}} Sniffed */

/** @param {Partial<Sniffed>} known @returns {Sniffed} */
export const sniffed = (known) => ({
  format: "",
  kind: "",
  crs: "",
  crsName: "",
  height: "",
  count: 0,
  own: null,
  box: null,
  notes: [],
  columns: [],
  ...known,
});

/** Bytes from `from`, at most `size` of them. @param {Blob} file @param {number} from @param {number} size @returns {Promise<DataView>} */
export async function view(file, from, size) {
  const start = from < 0 ? Math.max(0, file.size + from) : Math.min(from, file.size);
  return new DataView(await file.slice(start, Math.min(file.size, start + size)).arrayBuffer());
}

/** @param {Blob} file @param {number} from @param {number} size @returns {Promise<string>} */
export async function text(file, from, size) {
  return new TextDecoder("utf-8", { fatal: false }).decode(await view(file, from, size));
}

/** Latin text of some bytes, up to a zero byte. @param {DataView} bytes @param {number} at @param {number} size */
export function latin(bytes, at, size) {
  let found = "";
  for (let i = at; i < Math.min(at + size, bytes.byteLength); i++) {
    const byte = bytes.getUint8(i);
    if (!byte) break;
    found += String.fromCharCode(byte);
  }
  return found;
}

/** Box of many pairs, or null. @param {Iterable<[number, number]>} pairs @returns {Box | null} */
export function boxOfPairs(pairs) {
  const box = /** @type {Box} */ ([Infinity, Infinity, -Infinity, -Infinity]);
  for (const [x, y] of pairs) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    [box[0], box[1], box[2], box[3]] = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
  }
  return box[0] === Infinity ? null : box;
}

/** Pieces of a text file: all of it when it is small, else its head, its tail and some places between.
 * @param {Blob} file @param {number} most @returns {Promise<{pieces: string[], isWhole: boolean}>} */
export async function pieces(file, most = 2 << 20) {
  if (file.size <= most) return { pieces: [await text(file, 0, file.size)], isWhole: true };
  const one = Math.floor(most / 8);
  const starts = Array.from({ length: 8 }, (_unused, i) => Math.floor(((file.size - one) * i) / 7));
  return { pieces: await Promise.all(starts.map((start) => text(file, start, one))), isWhole: false };
}
