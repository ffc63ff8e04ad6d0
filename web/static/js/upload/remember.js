// @ts-check
// What this browser remembers about uploads that it began: enough to go on after a closed tab, nothing of the files themselves.
import { page } from "../base/i18n.js";

/** @typedef {{id: string, size: number, modified: number, digests: Record<string, string>}} Begun digests: first half of the sha256 of
 * parts sent */

const PREFIX = `upload ${page.org ?? ""} `;

/** @param {string} name @returns {Begun | null} */
export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
  } catch {
    return null; // written by something else: as good as nothing
  }
}

/** @param {string} name @param {any} begun */
export function remember(name, begun) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(begun));
  } catch {
    localStorage.removeItem(PREFIX + name); // no room: the file is then sent anew after a closed tab
  }
}

/** @param {string} name */
export const forget = (name) => localStorage.removeItem(PREFIX + name);

/** Names of files whose upload was begun here. */
export const begunNames = () =>
  Object.keys(localStorage)
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => key.slice(PREFIX.length))
    .sort();
