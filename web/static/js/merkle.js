// @ts-check
// What is proved about the log, by this browser alone: commitments, the Merkle root of RFC 6962, a comparison with an earlier root.

/** @typedef {[number, string, string, string]} Entry seq, payload, salt (hex), commitment (hex) */
/** @typedef {{size: number, root: string, seq: number, at: string, blocks: string[]}} Checkpoint */

/** Leaves of which one root each is kept, so that a change can be placed. */
export const BLOCK = 1024;
/** Digests that are asked for at once. */
const BATCH = 4096;

const text = new TextEncoder();
/** @param {Uint8Array[]} parts */
async function sha256(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

/** @param {string} hex */
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
/** @param {Uint8Array} from */
export const hex = (from) => Array.from(from, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Whether an entry is what was committed to. @param {Entry} entry */
export const holds = async ([, payload, salt, commitment]) => hex(await sha256(bytes(salt), text.encode(payload))) === commitment;

/** Leaf hash: sha256(0x00 || commitment). @param {Entry} entry */
export const leaf = (entry) => sha256(Uint8Array.of(0), bytes(entry[3]));

/** Root over leaf hashes (RFC 6962, 2.1), level by level: an odd one out goes up as it is. @param {Uint8Array[]} leaves @returns {Promise<Uint8Array>} */
export async function root(leaves) {
  if (!leaves.length) return sha256();
  let level = leaves;
  while (level.length > 1) {
    /** @type {Uint8Array[]} */
    const above = [];
    for (let from = 0; from < level.length; from += BATCH) {
      /** @type {Promise<Uint8Array>[]} */
      const pairs = [];
      for (let i = from; i < Math.min(level.length, from + BATCH); i += 2) pairs.push(i + 1 < level.length ? sha256(Uint8Array.of(1), level[i], level[i + 1]) : Promise.resolve(level[i]));
      above.push(...(await Promise.all(pairs)));
    }
    level = above;
  }
  return level[0];
}

/** Roots of the whole blocks. @param {Uint8Array[]} leaves */
export async function blocksOf(leaves) {
  /** @type {string[]} */
  const found = [];
  for (let from = 0; from + BLOCK <= leaves.length; from += BLOCK) found.push(hex(await root(leaves.slice(from, from + BLOCK))));
  return found;
}

/** What a checkpoint that was kept says about the log of today: null when it agrees.
 * @param {Checkpoint} kept @param {Uint8Array[]} leaves @returns {Promise<null | {kind: "shorter"} | {kind: "changed", from: number, to: number}>} indices of the leaves among which the change lies */
export async function differs(kept, leaves) {
  if (leaves.length < kept.size) return { kind: "shorter" };
  const then = leaves.slice(0, kept.size);
  if (hex(await root(then)) === kept.root) return null;
  const now = await blocksOf(then);
  const at = kept.blocks.findIndex((block, i) => block !== now[i]);
  return at < 0 ? { kind: "changed", from: kept.blocks.length * BLOCK, to: kept.size - 1 } : { kind: "changed", from: at * BLOCK, to: (at + 1) * BLOCK - 1 };
}
