// @ts-check
// Buttons that copy a text: `<button data-copy="text">` or `data-copy-from="#id"`.
import { all, one } from "./dom.js";
import { _ } from "./i18n.js";

/** Make every such button work. */
export function offerCopies() {
  for (const button of all("[data-copy], [data-copy-from]")) button.addEventListener("click", () => copy(button));
}

/** @param {any} button */
async function copy(button) {
  const text = button.dataset.copy ?? one(button.dataset.copyFrom).textContent;
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = _("Copied");
  } catch {
    // Pages that are not served safely may not write: mark the text, so that Ctrl+C takes it.
    const range = document.createRange();
    range.selectNodeContents(button.dataset.copyFrom ? one(button.dataset.copyFrom) : button.previousElementSibling);
    getSelection()?.removeAllRanges();
    getSelection()?.addRange(range);
    button.textContent = _("Press Ctrl+C");
  }
  setTimeout(() => (button.textContent = before), 2000);
}
