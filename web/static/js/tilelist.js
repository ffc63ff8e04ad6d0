// @ts-check
// The twin of the map as a table: which tiles of the area have what; each can be left out. For keyboards, screen readers, no WebGL.
import { post } from "./api.js";
import { make } from "./dom.js";
import { _, sentence, word, worth } from "./i18n.js";

const MOST = 1000;

/** Fill `box` with the tiles of an area. @param {HTMLElement} box @param {any} body an area as the API takes it
 * @param {string[]} kinds chosen @param {(keys: string[]) => void} choose called with the tiles that stay */
export async function listTiles(box, body, kinds, choose) {
  box.replaceChildren(make("p.muted", _("Looking …")));
  try {
    const answer = await post("/coverage", { ...body, limit: MOST });
    const rows = answer.tiles.filter((/** @type {any} */ tile) => kinds.some((kind) => tile.kinds[kind]));
    if (!rows.length) return box.replaceChildren(make("p.muted", _("Nothing is on offer in this area.")));
    const kept = new Set(rows.map((/** @type {any} */ tile) => tile.tile));
    const body_ = rows.map((/** @type {any} */ tile) =>
      make(
        "tr",
        make("td", make("label", make("input", { type: "checkbox", checked: true, "aria-label": tile.tile, onchange: (/** @type {any} */ event) => (event.target.checked ? kept.add(tile.tile) : kept.delete(tile.tile), choose([...kept])) }))),
        make("td", make("code", tile.tile)),
        make("td", kinds.filter((kind) => tile.kinds[kind]).map((kind) => `${word("kinds", kind)} (${worth(tile.ages[kind], tile.qualities[kind])})`).join(", ")),
      ),
    );
    box.replaceChildren(
      make("table", make("thead", make("tr", make("th", { scope: "col" }, ""), make("th", { scope: "col" }, _("Tile")), make("th", { scope: "col" }, _("Data")))), make("tbody", body_)),
      ...(answer.truncated ? [make("p.muted.small", _("Only the first 1,000 tiles are listed."))] : []),
    );
  } catch (error) {
    box.replaceChildren(make("p.error", sentence(error)));
  }
}
