// @ts-check
// What the accuracy that a seller chooses makes of a version: features that moved by more, and tiles that are a change.
import { all, one } from "../base/dom.js";
import { n_, number, page } from "../base/i18n.js";

/** How many moved by more than the accuracy. @param {number[]} counts by the first step that covers the shift, the last of all others
 * @param {number} accuracy millimetres @returns {number} */
function moved(counts, accuracy) {
  return counts.reduce((sum, count, at) => sum + (at >= page.steps.length || page.steps[at] > accuracy ? count : 0), 0);
}

/** @param {any} select */
function show(select) {
  const found = page.changes[select.dataset.accuracy];
  if (!found) return;
  const accuracy = Math.round(Number(select.value) * 1000);
  const row = one(`[data-changes="${select.dataset.accuracy}"]`);
  one("[data-moved]", row).textContent = number(moved(found.moved, accuracy));
  const same = found.after - found.added - found.altered - moved(found.moved_only, accuracy);
  one("[data-unchanged]", row).textContent = number(Math.max(0, same));
  one(`[data-outdated="${select.dataset.accuracy}"]`).textContent = n_(
    "%(count)s tile is a change and is offered again to who has it.",
    "%(count)s tiles are a change and are offered again to who has them.",
    found.cells[page.steps.indexOf(accuracy)],
  );
}

/** The accuracies as chosen, in metres by layer. @param {any} form @returns {Record<string, number>} */
export function accuracies(form) {
  return Object.fromEntries(all("[data-accuracy]", form).map((select) => [select.dataset.accuracy, Number(select.value)]));
}

/** Show what each choice makes of the changes, now and when it changes. @param {any} form */
export function showAccuracies(form) {
  for (const select of all("[data-accuracy]", form)) {
    show(select);
    select.addEventListener("change", () => show(select));
  }
}
