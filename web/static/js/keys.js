// @ts-check
// Single keys: P polygon, R box, T tiles.
const TOOLS = /** @type {Record<string, string>} */ ({ p: "polygon", r: "rectangle", t: "tiles" });

/** @param {{choose: (tool: string) => void}} acts */
export function wireKeys(acts) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /** @type {any} */ (event.target).closest("input, textarea, select")) return;
    const tool = TOOLS[event.key.toLowerCase()];
    if (tool) acts.choose(tool);
  });
}
