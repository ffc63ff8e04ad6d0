// @ts-check
// Keys of the explore page, and the sheet that shows them (`_keys.html`). Single letters can be switched off (WCAG 2.1.4).
import { one } from "./dom.js";

const TOOLS = /** @type {Record<string, string>} */ ({ p: "polygon", r: "rectangle", t: "tiles" });
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});
const STEP = 90; // pixels
const SWITCH = "single-keys";

const lettersWork = () => localStorage.getItem(SWITCH) !== "off";

/** @param {{choose: (tool: string) => void, undo: () => void, pan: (step: [number, number]) => void, cancel: () => void}} acts */
export function wireKeys(acts) {
  const sheet = one("dialog.keys");
  offerLetters();
  one("#keys-button").addEventListener("click", () => sheet.showModal());
  addEventListener("keydown", (event) => {
    const target = /** @type {any} */ (event.target);
    if (sheet.open || target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, dialog")) return;
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z")
      return (event.preventDefault(), acts.undo());
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return acts.cancel();
    // MapLibre pans by itself while its canvas has the focus; radio buttons and scrolled lists use the arrows too.
    if (ARROWS[event.key] && !target.closest(".maplibregl-canvas-container, [type=radio], .scroll")) {
      const [x, y] = ARROWS[event.key];
      return (event.preventDefault(), acts.pan([x * STEP, y * STEP]));
    }
    if (!lettersWork()) return;
    if (event.key === "?") return sheet.showModal();
    const tool = TOOLS[event.key.toLowerCase()];
    if (tool) acts.choose(tool);
  });
}

/** The switch for single letters, which this browser remembers. */
export function offerLetters() {
  const letters = one("#single-keys");
  letters.checked = lettersWork();
  letters.addEventListener("change", () => localStorage.setItem(SWITCH, letters.checked ? "on" : "off"));
}
