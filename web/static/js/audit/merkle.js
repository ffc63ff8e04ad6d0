// @ts-check
// What is proved about the log, by this browser alone: commitments, the Merkle root of RFC 6962, a comparison with an earlier root.

/** @typedef {[number, string, string, string]} Entry seq, payload, salt (hex), commitment (hex) */
/** @typedef {{size: number, root: string, seq: number, at: string, blocks: string[]}} Checkpoint */
/** @typedef {null | {kind: "shorter"} | {kind: "changed", from: number, to: number}} Difference
 * leaves (from 0) among which the change is */

/** Leaves of which one root each is kept, so that a change can be placed. A power of two: each is a node of the tree over all. */
export const BLOCK = 1024;

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

/** Root over hashes of one level (RFC 6962, 2.1), level by level: an odd one out goes up as it is. @param {Uint8Array[]} level
 * @returns {Promise<Uint8Array>} */
async function root(level) {
  if (!level.length) return sha256();
  while (level.length > 1) {
    /** @type {Promise<Uint8Array>[]} */
    const above = [];
    for (let i = 0; i < level.length; i += 2)
      above.push(i + 1 < level.length ? sha256(Uint8Array.of(1), level[i], level[i + 1]) : Promise.resolve(level[i]));
    level = await Promise.all(above);
  }
  return level[0];
}

/** A tree that grows at its end. */
export class Tree {
  /** @type {Uint8Array[]} */
  leaves = [];
  /** Roots of the whole blocks. @type {Uint8Array[]} */
  blocks = [];

  /** @param {Uint8Array[]} leaves */
  async add(leaves) {
    this.leaves.push(...leaves);
    for (let at = this.blocks.length * BLOCK; at + BLOCK <= this.leaves.length; at += BLOCK)
      this.blocks.push(await root(this.leaves.slice(at, at + BLOCK)));
  }

  /** Root over the first leaves. @param {number} [size] */
  async root(size = this.leaves.length) {
    const whole = Math.floor(size / BLOCK),
      rest = this.leaves.slice(whole * BLOCK, size);
    return root([...this.blocks.slice(0, whole), ...(rest.length ? [await root(rest)] : [])]);
  }

  /** What a checkpoint that was kept says about the log of today: null when it agrees. @param {Checkpoint} kept
   * @returns {Promise<Difference>} */
  async differs(kept) {
    if (this.leaves.length < kept.size) return { kind: "shorter" };
    if (hex(await this.root(kept.size)) === kept.root) return null;
    const at = kept.blocks.findIndex((block, i) => block !== hex(this.blocks[i]));
    return at < 0
      ? { kind: "changed", from: kept.blocks.length * BLOCK, to: kept.size - 1 }
      : { kind: "changed", from: at * BLOCK, to: (at + 1) * BLOCK - 1 };
  }
}
