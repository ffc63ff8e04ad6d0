// @ts-check
// What this browser, or a file that was saved, remembers of the log: how many entries there were, and the root over them.
import { make } from "../base/dom.js";
import { page } from "../base/i18n.js";
import { BLOCK } from "./merkle.js";

/** @typedef {import("./merkle.js").Checkpoint} Checkpoint */

const KEY = `mapex-checkpoint:${page.who}`;
const HASH = /^[0-9a-f]{64}$/;

/** @returns {Checkpoint | null} */
export const kept = () => readable(localStorage.getItem(KEY) ?? "");

/** @param {Checkpoint} checkpoint */
export const keep = (checkpoint) => localStorage.setItem(KEY, JSON.stringify(checkpoint));

/** A checkpoint from its text; null for anything else, also for one over no entries, which proves nothing. @param {string} text
 * @returns {Checkpoint | null} */
export function readable(text) {
  let given;
  try {
    given = JSON.parse(text);
  } catch {
    return null;
  }
  const isOne = given && Number.isInteger(given.size) && given.size > 0 && HASH.test(given.root) && !Number.isNaN(Date.parse(given.at));
  return isOne &&
    Array.isArray(given.blocks) &&
    given.blocks.length === Math.floor(given.size / BLOCK) &&
    given.blocks.every((/** @type {any} */ block) => HASH.test(block))
    ? given
    : null;
}

/** @param {Checkpoint} checkpoint */
export function save(checkpoint) {
  const file = new Blob([JSON.stringify({ mapex: "checkpoint", origin: location.origin, ...checkpoint }, null, 1)], {
    type: "application/json",
  });
  const link = make("a", { href: URL.createObjectURL(file), download: `mapex-checkpoint-${checkpoint.size}.json` });
  link.click();
  URL.revokeObjectURL(link.href);
}
