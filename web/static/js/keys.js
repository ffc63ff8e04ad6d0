// @ts-check
// Keys of the explore page, and the sheet that shows them. Single letters can be switched off (WCAG 2.1.4).
import { make, one } from "./dom.js";
import { _ } from "./i18n.js";

const TOOLS = /** @type {Record<string, string>} */ ({ p: "polygon", r: "rectangle", t: "tiles" });
const ARROWS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });
const STEP = 90; // pixels
const SWITCH = "single-keys";

const lettersWork = () => localStorage.getItem(SWITCH) !== "off";

/** @param {{choose: (tool: string) => void, undo: () => void, pan: (step: [number, number]) => void, cancel: () => void}} acts */
export function wireKeys(acts) {
  const sheet = shortcutSheet();
  one("#keys-button").addEventListener("click", () => sheet.showModal());
  addEventListener("keydown", (event) => {
    const target = /** @type {any} */ (event.target);
    if (sheet.open || target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, dialog")) return;
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") return event.preventDefault(), acts.undo();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return acts.cancel();
    // MapLibre pans by itself while its canvas has the focus; radio buttons and scrolled lists use the arrows too.
    if (ARROWS[event.key] && !target.closest(".maplibregl-canvas-container, [type=radio], .scroll")) {
      const [x, y] = ARROWS[event.key];
      return event.preventDefault(), acts.pan([x * STEP, y * STEP]);
    }
    if (!lettersWork()) return;
    if (event.key === "?") return sheet.showModal();
    const tool = TOOLS[event.key.toLowerCase()];
    if (tool) acts.choose(tool);
  });
}

/** @returns {HTMLDialogElement} */
function shortcutSheet() {
  const letters = make("input", { type: "checkbox", id: "single-keys", checked: lettersWork() });
  letters.addEventListener("change", () => localStorage.setItem(SWITCH, letters.checked ? "on" : "off"));
  const rows = [
    ["P", _("Polygon")], ["R", _("Box")], ["T", _("Tiles")], ["Enter", _("Finish the outline")], ["Esc", _("Cancel drawing")],
    ["Ctrl + Z", _("Undo")], ["← ↑ → ↓", _("Move the map")], ["?", _("This list")],
  ];
  const close = make("button", { type: "button", onclick: () => sheet.close() }, _("Close"));
  const table = make("table", make("tbody", rows.map(([key, what]) => make("tr", make("th", { scope: "row" }, make("kbd", key)), make("td", what)))));
  const sheet = make("dialog.keys", { "aria-labelledby": "keys-title" }, make("h2", { id: "keys-title" }, _("Keys")), table, make("label.choice", letters, _("Single letters choose tools")), close);
  document.body.append(sheet);
  return sheet;
}
