// @ts-check
// One entry: its commitment computed again here, and the evidence for the clipboard.
import { one } from "../base/dom.js";
import { _, page } from "../base/i18n.js";
import { holds } from "./merkle.js";

const { seq, payload, salt, commitment } = page.entry;
const result = one("#recomputed");
if (crypto.subtle) {
  const isRight = await holds([seq, payload, salt, commitment]);
  result.className = isRight ? "good" : "error";
  result.textContent = isRight ? `✓ ${_("The payload is what was committed to.")}` : `✗ ${_("The payload is not what was committed to.")}`;
} else result.textContent = _("This browser computes no checksums on pages without https.");

one("#copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(JSON.stringify(page.entry, null, 1));
  one("#copied").textContent = _("Copied.");
});
document.documentElement.dataset.ready = "";
