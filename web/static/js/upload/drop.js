// @ts-check
// Files and folders by drag and drop, or by the choose buttons, with their paths inside a folder.
import { one } from "../base/dom.js";

/** @param {(file: File, name: string) => void} add */
export function takeFiles(add) {
  const drop = one("#drop");
  for (const input of [one("#files"), one("#folder")]) {
    input.addEventListener("change", () => {
      for (const file of input.files) add(file, file.webkitRelativePath || file.name);
      input.value = "";
    });
  }
  drop.addEventListener("dragover", (/** @type {any} */ event) => (event.preventDefault(), drop.classList.add("over")));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (/** @type {any} */ event) => {
    event.preventDefault();
    drop.classList.remove("over");
    // Before the first await: the list is emptied after it
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
    for (const entry of entries) if (entry) entry instanceof File ? add(entry, entry.name) : await walk(entry, "", add);
  });
}

/** Files of a dropped folder, with paths inside it. @param {any} entry @param {string} path
 * @param {(file: File, name: string) => void} add @returns {Promise<void>} */
async function walk(entry, path, add) {
  if (entry.isFile) return add(await new Promise((resolve, reject) => entry.file(resolve, reject)), path + entry.name);
  const reader = entry.createReader();
  for (;;) {
    /** @type {any[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return; // a browser hands out 100 at a time
    for (const inner of some) await walk(inner, `${path}${entry.name}/`, add);
  }
}
