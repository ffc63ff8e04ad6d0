// @ts-check
// What the explore page shows, as one object. Whoever changes it calls `change`; whoever shows it listens. And what is chosen among the
// offers of an area: ticked or not, one instead of another, and as the API takes it.
import { page } from "../base/i18n.js";

/** @typedef {[number, number][]} Ring */
/** `from` is the id of the element beside which errors of an area are shown that was typed, pasted or chosen.
 * @typedef {{from?: string} & ({type: "outline", ring: Ring} | {type: "tiles", keys: string[]} | {type: "region", geo: any})} Area */

/** `done` is false while the user still draws; `dropped` are tiles of the area that the user
 * left out, `leave` leaves out those barely touched; `taken` and `left` are offers; `purpose` is empty until one is chosen;
 * `by` is what colours the map. */
export const state = {
  /** @type {Area | null} */ area: null,
  /** @type {string[]} */ dropped: [],
  leave: false,
  /** @type {string[]} */ kinds: page.kinds ?? [],
  purpose: "",
  /** @type {string[]} */ taken: [],
  /** @type {string[]} */ left: [],
  by: "available",
  done: true,
};

/** @type {((changed: string[]) => void)[]} */
const listeners = [];

/** Call `listener` with the names of what changed, after each change. @param {(changed: string[]) => void} listener */
export const listen = (listener) => void listeners.push(listener);

/** @param {Partial<typeof state>} news */
export function change(news) {
  Object.assign(state, news);
  for (const listener of listeners) listener(Object.keys(news));
}

/** A new area, with nothing dropped. @param {Area | null} area @param {boolean} [done] whether the user finished drawing */
export function setArea(area, done = true) {
  if (done) keep();
  change({ area, done, dropped: [] });
}

/** @typedef {{area: Area | null, dropped: string[], leave: boolean}} Asked */
/** @returns {Asked} */
const now = () => ({ area: state.area, dropped: state.dropped, leave: state.leave });
/** @type {Asked[]} */
const past = [];
let last = now();
listen(() => {
  if (state.done) last = now();
});

/** Remember what was there, for `undo`; before a change that the user may regret. */
export function keep() {
  past.push(last);
  if (past.length > 50) past.shift();
}

/** Back to the area before the last change; null when there is none. */
export const undo = () => past.pop() ?? null;

/** @param {Ring} ring @returns {Ring} */
export const closed = (ring) => (String(ring[0]) === String(ring.at(-1)) ? ring : [...ring, ring[0]]);

/** The area as the API takes it, or null while there is none. @returns {any} */
export function asked() {
  const area = state.area;
  if (!area) return null;
  const without = { ...(state.dropped.length ? { without: state.dropped } : {}), ...(state.leave ? { leave_barely: true } : {}) };
  if (area.type === "tiles") return area.keys.length ? { quadkeys: area.keys, ...without } : null;
  if (area.type === "region") return { region: area.geo, ...without };
  const distinct = new Set(area.ring.map(String));
  return distinct.size >= 3 ? { region: { type: "Polygon", coordinates: [closed(area.ring)] }, ...without } : null;
}

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
