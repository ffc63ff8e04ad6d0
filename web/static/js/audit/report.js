// @ts-check
// What a proof means, in words: exactly what it shows and what it does not.
import { make } from "../base/dom.js";
import { _, n_, number } from "../base/i18n.js";

/** @typedef {import("./merkle.js").Checkpoint} Checkpoint */
/** @typedef {import("./proof.js").Proof} Proof */

const MOST_NAMED = 20;

/** @param {Proof} proof */
export const isIntact = ({ wrong, change }) => !wrong.length && !change;

/** @param {Proof} proof @param {Checkpoint | null} before @param {boolean} isFile whether `before` comes from a file */
export const reportOf = (proof, before, isFile) => (isIntact(proof) ? intact(proof, before, isFile) : broken(proof, before));

/** @param {Proof} proof @param {Checkpoint | null} before */
function broken({ now, wrong, change }, before) {
  const found = [];
  if (wrong.length) {
    const links = wrong.slice(0, MOST_NAMED).flatMap((seq) => [make("a", { href: `/audit/events/${seq}` }, String(seq)), " "]);
    found.push(
      bad(
        n_("%(count)s entry is not what was committed to:", "%(count)s entries are not what was committed to:", wrong.length),
        " ",
        ...links,
      ),
    );
  }
  if (change?.kind === "shorter" && before)
    found.push(
      bad(
        n_(
          "Entries were removed: the checkpoint of %(at)s covers %(count)s entry, the log now has %(now)s.",
          "Entries were removed: the checkpoint of %(at)s covers %(count)s entries, the log now has %(now)s.",
          before.size,
          { at: when(before), now: number(now.size) },
        ),
      ),
    );
  if (change?.kind === "changed" && before)
    found.push(
      bad(
        _("History was rewritten since %(at)s: an entry from %(from)s to %(to)s is not the one that was there.", {
          at: when(before),
          from: change.from,
          to: change.to,
        }),
      ),
    );
  return [...found, make("p", _("Your older checkpoint was kept: it is your evidence. Save it as a file."))];
}

const unproved = () =>
  _("Not proved: that entries which nobody had kept a checkpoint of are the original ones, or that everything that happened was entered.");

/** @param {Proof} proof @param {Checkpoint | null} before @param {boolean} isFile */
function intact({ now }, before, isFile) {
  const found = [good(n_("The one entry is what was committed to.", "Every one of %(count)s entries is what was committed to.", now.size))];
  if (!before)
    found.push(
      make(
        "p.warn",
        [
          _("There is no earlier checkpoint: the log is consistent with itself, no more."),
          _("This browser keeps one now; compare at your next visit."),
        ].join(" "),
      ),
    );
  else if (isFile)
    found.push(
      good(
        n_(
          "Nothing up to the checkpoint in the file (%(at)s, %(count)s entry) was changed or removed since.",
          "Nothing up to the checkpoint in the file (%(at)s, %(count)s entries) was changed or removed since.",
          before.size,
          { at: when(before) },
        ),
      ),
    );
  else
    found.push(
      good(
        n_(
          "Nothing that you saw at your visit of %(at)s (%(count)s entry) was changed or removed since.",
          "Nothing that you saw at your visit of %(at)s (%(count)s entries) was changed or removed since.",
          before.size,
          { at: when(before) },
        ),
      ),
    );
  return [...found, make("p.muted.small", unproved())];
}

/** @param {Checkpoint} now @param {string} seconds */
export const facts = (now, seconds) =>
  make(
    "p.small.muted",
    n_(
      "Computed here in %(seconds)s s. Root over %(count)s entry:",
      "Computed here in %(seconds)s s. Root over %(count)s entries:",
      now.size,
      { seconds },
    ),
    " ",
    make("code", { id: "root" }, now.root),
  );

/** @param {...any} parts */
const bad = (...parts) => make("p.error", { role: "alert" }, "✗ ", ...parts);
/** @param {...any} parts */
const good = (...parts) => make("p.good", "✓ ", ...parts);

/** In Korean time, with its offset. @param {Checkpoint} checkpoint */
const when = (checkpoint) => `${new Date(Date.parse(checkpoint.at) + 9 * 3600e3).toISOString().slice(0, 16).replace("T", " ")} +09:00`;
