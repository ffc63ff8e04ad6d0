// @ts-check
// What is chosen among the offers of an area: ticked or not, one instead of another, and as the API takes it.
import { change, state } from "./state.js";

/** The choice as the API takes it, or null while nothing was touched. */
export function choice() {
  const { taken, left } = state;
  return taken.length || left.length ? { take: taken, leave: left } : null;
}

/** Tick or untick an offer; what else of its group is ticked stays so. @param {any} row @param {any[]} rows @param {boolean} isOn */
export function tick(row, rows, isOn) {
  settle(row, rows, (one) => (one.offer === row.offer ? isOn : one.chosen));
}

/** Take an offer, and nothing else of its group. @param {any} row @param {any[]} rows */
export const takeInstead = (row, rows) => settle(row, rows, (one) => one.offer === row.offer);

/** Forget offers that are on sale no longer. @param {string[]} names */
export function forget(names) {
  const rest = (/** @type {string[]} */ list) => list.filter((name) => !names.includes(name));
  change({ taken: rest(state.taken), left: rest(state.left) });
}

/** The rows are marked at once: who ticks two boxes does not wait for an answer between them.
 * @param {any} row @param {any[]} rows @param {(one: any) => boolean} isChosen */
function settle(row, rows, isChosen) {
  const group = rows.filter((one) => one.group === row.group),
    names = group.map((one) => one.offer),
    others = (/** @type {string[]} */ list) => list.filter((name) => !names.includes(name));
  for (const one of group) one.chosen = isChosen(one);
  const chosen = group.filter((one) => one.chosen).map((one) => one.offer);
  // Original footage that is not named is not bought anyway.
  const left = chosen.length || row.class === "original" ? [] : names;
  change({ taken: [...others(state.taken), ...chosen], left: [...others(state.left), ...left] });
}
