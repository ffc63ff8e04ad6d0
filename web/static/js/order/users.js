// @ts-check
// Who may use an order: everybody of the organisation, or those who are ticked.
import { all, one } from "../base/dom.js";

/** E-mails of the named users; none = everybody. */
export const named = () => (one("[name=users][value=some]")?.checked ? all("[name=person]:checked").map((box) => box.value) : []);

/** Show the list of persons when it is needed, and report when anything changed.
 * @param {() => void} changed */
export function watchUsers(changed) {
  one("#users").addEventListener("change", () => {
    one("#users .members").hidden = !one("[name=users][value=some]").checked;
    changed();
  });
}

/** Tick what was ticked before. @param {string[]} emails */
export function restoreUsers(emails) {
  if (!emails.length) return;
  one("[name=users][value=some]").checked = true;
  one("#users .members").hidden = false;
  for (const box of all("[name=person]")) box.checked = emails.includes(box.value);
}
