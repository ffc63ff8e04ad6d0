// @ts-check
// "Verify the log": fetches every entry, recomputes, compares with what this browser kept, and says exactly what that proves.
import { get } from "./api.js";
import { make, one } from "./dom.js";
import { _, number, page, sentence } from "./i18n.js";
import { blocksOf, differs, hex, holds, leaf, root } from "./merkle.js";

/** @typedef {import("./merkle.js").Checkpoint} Checkpoint */
/** @typedef {import("./merkle.js").Entry} Entry */

const KEY = `mapex-checkpoint:${page.who}`;
const AT_ONCE = 512;

/** @returns {Checkpoint | null} */
function kept() {
  try {
    return readable(JSON.parse(localStorage.getItem(KEY) ?? "null"));
  } catch {
    return null;
  }
}

/** @param {any} given @returns {Checkpoint | null} */
const readable = (given) => (given && Number.isInteger(given.size) && given.size >= 0 && /^[0-9a-f]{64}$/.test(given.root) && Array.isArray(given.blocks) ? given : null);

/** All entries, page by page. @param {(done: number) => void} onProgress @returns {Promise<Entry[]>} */
async function fetchAll(onProgress) {
  /** @type {Entry[]} */
  const found = [];
  let answer = await get("/audit/entries");
  const { head } = answer;
  for (;;) {
    for (const entry of answer.entries) found.push(entry);
    onProgress(head ? (found.at(-1)?.[0] ?? 0) / head : 1);
    if (answer.next === null) return found;
    answer = await get(`/audit/entries?after=${answer.next}&head=${head}`);
  }
}

/** The first entry that is not what was committed to, or null; leaves of all on the way.
 * @param {Entry[]} entries @param {(done: number) => void} onProgress */
async function recompute(entries, onProgress) {
  /** @type {Uint8Array[]} */
  const leaves = [];
  /** @type {number[]} */
  const wrong = [];
  for (let from = 0; from < entries.length; from += AT_ONCE) {
    const some = entries.slice(from, from + AT_ONCE);
    const right = await Promise.all(some.map(holds));
    some.forEach((entry, i) => right[i] || wrong.push(entry[0]));
    leaves.push(...(await Promise.all(some.map(leaf))));
    onProgress(leaves.length / entries.length);
  }
  return { leaves, wrong };
}

/** @param {Checkpoint | null} before what to compare with @param {boolean} isFile */
async function verify(before, isFile) {
  const began = performance.now();
  const bar = one("#verify-progress"), result = one("#verify-result");
  bar.hidden = false;
  result.replaceChildren();
  try {
    if (!crypto.subtle) throw new Error(_("This browser computes no checksums on pages without https."));
    const entries = await fetchAll((done) => (bar.value = done / 2));
    const { leaves, wrong } = await recompute(entries, (done) => (bar.value = 0.5 + done / 2));
    const now = { size: leaves.length, root: hex(await root(leaves)), seq: entries.at(-1)?.[0] ?? 0, at: new Date().toISOString(), blocks: await blocksOf(leaves) };
    const change = before ? await differs(before, leaves) : null;
    const isIntact = !wrong.length && !change;
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    result.replaceChildren(...said(entries, wrong, change, before, isFile), facts(now, seconds));
    result.dataset.state = isIntact ? "intact" : "broken";
    // A checkpoint that caught something is evidence: it is never written over.
    if (isIntact) localStorage.setItem(KEY, JSON.stringify(now));
    one("#verify-save").disabled = !kept();
  } catch (error) {
    result.replaceChildren(make("p.error", { role: "alert" }, sentence(error)));
    result.dataset.state = "failed";
  } finally {
    bar.hidden = true;
  }
}

/** @param {Entry[]} entries @param {number[]} wrong @param {Awaited<ReturnType<typeof differs>>} change @param {Checkpoint | null} before @param {boolean} isFile */
function said(entries, wrong, change, before, isFile) {
  const found = [];
  if (wrong.length) {
    const links = wrong.slice(0, 20).flatMap((seq) => [make("a", { href: `/audit/events/${seq}` }, String(seq)), " "]);
    found.push(make("p.error", { role: "alert" }, "✗ ", _("%(count)s entries are not what was committed to:", { count: number(wrong.length) }), " ", ...links));
  }
  if (change?.kind === "shorter" && before) found.push(make("p.error", { role: "alert" }, "✗ ", _("Entries were removed: the checkpoint of %(at)s covers %(then)s entries, the log now has %(now)s.", { at: when(before), then: number(before.size), now: number(entries.length) })));
  if (change?.kind === "changed" && before) {
    const values = { at: when(before), from: entries[change.from][0], to: entries[change.to][0] };
    found.push(make("p.error", { role: "alert" }, "✗ ", _("History was rewritten since %(at)s: an entry from %(from)s to %(to)s is not the one that was there.", values)));
  }
  if (wrong.length || change) {
    found.push(make("p", _("Your older checkpoint was kept: it is your evidence. Save it as a file.")));
    return found;
  }
  found.push(make("p.good", "✓ ", _("Every one of %(count)s entries is what was committed to.", { count: number(entries.length) })));
  if (before) found.push(make("p.good", "✓ ", isFile ? _("Nothing up to the checkpoint in the file (%(at)s, %(size)s entries) was changed or removed since.", { at: when(before), size: number(before.size) }) : _("Nothing that you saw at your visit of %(at)s (%(size)s entries) was changed or removed since.", { at: when(before), size: number(before.size) })));
  else found.push(make("p.warn", _("There is no earlier checkpoint: the log is consistent with itself, no more. This browser keeps one now; compare at your next visit.")));
  found.push(make("p.muted.small", _("Not proved: that entries which nobody had kept a checkpoint of are the original ones, or that everything that happened was entered.")));
  return found;
}

/** @param {Checkpoint} now @param {string} seconds */
const facts = (now, seconds) => make("p.small.muted", _("Computed here in %(seconds)s s. Root over %(size)s entries:", { seconds, size: number(now.size) }), " ", make("code", { id: "root" }, now.root));

/** In Korean time, with its offset. @param {Checkpoint} checkpoint */
const when = (checkpoint) => `${new Date(Date.parse(checkpoint.at) + 9 * 3600e3).toISOString().slice(0, 16).replace("T", " ")} +09:00`;

/** The button, the file that is saved, the file that is compared with. */
export function install() {
  one("#verify-now").addEventListener("click", () => verify(kept(), false));
  const save = one("#verify-save");
  save.disabled = !kept();
  save.addEventListener("click", () => {
    const checkpoint = kept();
    if (!checkpoint) return;
    const file = new Blob([JSON.stringify({ mapex: "checkpoint", origin: location.origin, ...checkpoint }, null, 1)], { type: "application/json" });
    const link = make("a", { href: URL.createObjectURL(file), download: `mapex-checkpoint-${checkpoint.size}.json` });
    link.click();
    URL.revokeObjectURL(link.href);
  });
  one("#verify-load").addEventListener("change", async (/** @type {any} */ event) => {
    const [file] = event.target.files;
    event.target.value = "";
    let given = null;
    try {
      given = readable(JSON.parse(await file.text()));
    } catch {
      given = null; // said below, like a file of another kind
    }
    if (given) await verify(given, true);
    else one("#verify-result").replaceChildren(make("p.error", { role: "alert" }, _("This file is no checkpoint of a log.")));
  });
}
