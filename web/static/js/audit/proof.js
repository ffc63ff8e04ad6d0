// @ts-check
// A walk along the whole log, page by page: each commitment computed again, the root over all, a comparison with what was kept. It needs
// no page.
import { hex, holds, leaf, Tree } from "./merkle.js";

/** @typedef {import("./merkle.js").Checkpoint} Checkpoint */
/** @typedef {import("./merkle.js").Entry} Entry */
/** @typedef {{entries: Entry[], next: number | null, head: number}} Page */
/** @typedef {{seq: number, head: number}} Progress the entry that was looked at last, and the last of all */
/** `wrong` are entries that are not what was committed to, `change` says what became of the checkpoint from before, by entries.
 * @typedef {{now: Checkpoint, wrong: number[], change: null | {kind: "shorter"} | {kind: "changed", from: number, to: number}}} Proof */

const AT_ONCE = 512;

/** @param {(path: string) => Promise<Page>} read @param {Checkpoint | null} before @param {(progress: Progress) => void} onProgress
 * @returns {Promise<Proof>} */
export async function prove(read, before, onProgress) {
  const tree = new Tree();
  /** @type {number[]} */
  const seqs = [];
  /** @type {number[]} */
  const wrong = [];
  for await (const { entries, head } of pages(read)) {
    onProgress({ seq: seqs.at(-1) ?? 0, head });
    for (let from = 0; from < entries.length; from += AT_ONCE) {
      const some = entries.slice(from, from + AT_ONCE);
      const right = await Promise.all(some.map(holds));
      some.forEach(([seq], i) => right[i] || wrong.push(seq));
      await tree.add(await Promise.all(some.map(leaf)));
      for (const [seq] of some) seqs.push(seq);
      onProgress({ seq: seqs[seqs.length - 1], head });
    }
  }
  const now = {
    size: seqs.length,
    root: hex(await tree.root()),
    seq: seqs.at(-1) ?? 0,
    at: new Date().toISOString(),
    blocks: tree.blocks.map(hex),
  };
  const change = before && (await tree.differs(before));
  return { now, wrong, change: change?.kind === "changed" ? { kind: "changed", from: seqs[change.from], to: seqs[change.to] } : change };
}

/** The pages of one walk; the next one is on its way while one is looked at. @param {(path: string) => Promise<Page>} read */
async function* pages(read) {
  let page = await read("/audit/entries");
  const { head } = page;
  for (;;) {
    const coming = page.next === null ? null : read(`/audit/entries?after=${page.next}&head=${head}`);
    coming?.catch(() => {}); // it is thrown below, where it is waited for
    yield { entries: page.entries, head };
    if (!coming) return;
    page = await coming;
  }
}
