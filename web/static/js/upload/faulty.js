// @ts-check
// Files that cannot be read would have all others rejected with them: they are named beside the button, and left out by one click.
import { make, one } from "../base/dom.js";
import { _, n_, page } from "../base/i18n.js";

/** @typedef {import("./upload.js").Item} Item */

const FAULTS = ["foreign", "unknown", "cut"];
const MOST_NAMES = 3;

/** @param {Item} item */
export const isFaulty = ({ sniffed, transfer }) =>
  transfer.file.size > page.limit || Boolean(sniffed?.notes.some((note) => FAULTS.includes(note)));

/** @param {string} name @returns {string} name of a file without its ending, as the parts of a shapefile share it */
export const stem = (name) =>
  name
    .replace(/(\.shp)?\.[^./]+$/i, "")
    .normalize("NFC")
    .toLowerCase();

/** What goes when the faulty files go: of a shapefile all parts. @param {Item[]} items @returns {Item[]} */
export function faulty(items) {
  const bad = items.filter(isFaulty);
  const shapes = new Set(bad.filter((item) => /\.shp$/i.test(item.transfer.name)).map((item) => stem(item.transfer.name)));
  return items.filter((item) => bad.includes(item) || (item.sniffed?.notes.includes("part_of") && shapes.has(stem(item.transfer.name))));
}

/** Offer to leave the faulty files out, or nothing. @param {Item[]} items @param {(out: Item[]) => void} leaveOut */
export function offerToLeaveOut(items, leaveOut) {
  for (const item of items) item.row.element.classList.toggle("faulty", isFaulty(item));
  const out = faulty(items);
  const place = one("#faulty");
  place.hidden = !out.length;
  if (!out.length) return place.replaceChildren();
  const names = out.map((item) => item.transfer.name);
  const shown = names.slice(0, MOST_NAMES).join(", ") + (names.length > MOST_NAMES ? " …" : "");
  const name = names[0].split("/").at(-1) ?? "";
  const others = items.length - out.length;
  place.replaceChildren(
    make("p.warn", _("Cannot be read here: %(names)s", { names: shown })),
    make("p.small", others ? _("Sent together, the other files would be rejected too.") : _("Choose other files.")),
    make(
      "p.actions",
      make(
        "button",
        { type: "button", onclick: () => leaveOut(out) },
        out.length === 1 ? _("Leave %(name)s out", { name }) : n_("Leave %(count)s file out", "Leave %(count)s files out", out.length),
      ),
      others ? make("span.muted.small", n_("%(count)s file stays", "%(count)s files stay", others)) : null,
    ),
  );
}
