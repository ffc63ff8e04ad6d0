// @ts-check
// The twin of the map as a table: every tile of the area, what it has, what it costs, why not; each can be taken in or out.
import { post } from "../base/api.js";
import { make } from "../base/dom.js";
import { _, page, sentence, won, word, worth } from "../base/i18n.js";

const MOST = 1000;
/** @type {{key: string, down: boolean}} */
const order = { key: "tile", down: false };

/** What the server says about the tiles of an area. @param {any} body an area as the API takes it, layers and purpose */
export async function tilesOf(body) {
  const { without, leave_barely, ...whole } = body;
  const [answer, covered] = await Promise.all([
    post("/estimates/tiles", { ...whole, limit: MOST }),
    post("/coverage", { ...areaOnly(whole), limit: MOST }),
  ]);
  const keys = answer.tiles.map((/** @type {any} */ tile) => tile.tile);
  const { names } = keys.length ? await post("/places/names", { tiles: keys }) : { names: [] };
  const named = new Map(names.map((/** @type {any} */ one) => [one.tile, one.name]));
  const seen = new Map(covered.tiles.map((/** @type {any} */ tile) => [tile.tile, tile]));
  const rows = answer.tiles.map((/** @type {any} */ tile) => ({
    ...tile,
    place: named.get(tile.tile) ?? "",
    left: Boolean(leave_barely && tile.barely),
    seen: seen.get(tile.tile),
  }));
  return { rows, truncated: answer.truncated };
}

/** @param {any} body */
const areaOnly = (body) => (body.region ? { region: body.region } : { quadkeys: body.quadkeys });

/** Show the tiles. @param {HTMLElement} box @param {{rows: any[], truncated: boolean}} found @param {Set<string>} dropped
 * @param {(key: string, isIn: boolean) => void} toggle */
export function showTiles(box, found, dropped, toggle) {
  if (!found.rows.length) return box.replaceChildren(make("p.muted", _("No area yet. Draw one on the map.")));
  const columns = [
    ["in", _("In")],
    ["tile", _("Tile")],
    ["data", _("Data")],
    ["amount", _("Price")],
  ];
  const sorted = [...found.rows].sort((a, b) => compare(a, b, dropped) * (order.down ? -1 : 1));
  const head = columns.map(([key, name]) =>
    make(
      "th",
      { scope: "col", "aria-sort": order.key === key ? (order.down ? "descending" : "ascending") : "none" },
      make(
        "button.link",
        { type: "button", "data-sort": key, onclick: () => sort(key) },
        name,
        make("span", { "aria-hidden": "true" }, order.key === key ? (order.down ? " ▾" : " ▴") : ""),
      ),
    ),
  );
  const sort = (/** @type {string} */ key) => {
    [order.down, order.key] = [order.key === key && !order.down, key];
    showTiles(box, found, dropped, toggle);
    /** @type {HTMLElement | null} */ (box.querySelector(`[data-sort=${key}]`))?.focus();
  };
  box.replaceChildren(
    make(
      "table.tiles",
      make("thead", make("tr", head)),
      make(
        "tbody",
        sorted.map((row) => line(row, dropped, toggle)),
      ),
    ),
    ...(found.truncated ? [make("p.muted.small", _("Only the first 1,000 tiles are listed."))] : []),
  );
}

/** @param {any} row @param {Set<string>} dropped @param {(key: string, isIn: boolean) => void} toggle */
function line(row, dropped, toggle) {
  const box = make("input", {
    type: "checkbox",
    checked: !dropped.has(row.tile) && !row.left,
    disabled: row.left,
    "aria-label": `${row.place} ${_("Tile %(tile)s", { tile: row.tile })}`,
  });
  box.addEventListener("change", () => toggle(row.tile, box.checked));
  const kinds = page.kinds.filter((/** @type {string} */ kind) => kind in row.kinds);
  const data = kinds.map((/** @type {string} */ kind) =>
    make(
      "div",
      make(`span.swatch.${kind}`, { "aria-hidden": "true" }),
      make("span", word("kinds", kind)),
      row.kinds[kind]
        ? make("span.warn", { "data-code": row.kinds[kind] }, sentence({ code: row.kinds[kind] }))
        : make("span.muted", age(row, kind)),
    ),
  );
  const notes = [
    kinds.length ? null : make("span.muted", _("no data")),
    row.barely ? make("span.muted", _("barely touched")) : null,
    row.owned ? make("span.good", _("yours already")) : null,
  ];
  return make(
    "tr",
    { "data-tile": row.tile },
    make("td", make("label.hit", box)),
    make("td", row.place, make("br"), make("code.muted.small", { title: row.tile }, `…${row.tile.slice(-7)}`)),
    make("td", data, notes),
    make("td.n", row.amount ? won(row.amount) : "–"),
  );
}

/** @param {any} row @param {string} kind */
const age = (row, kind) => (row.seen ? worth(row.seen.ages?.[kind], row.seen.qualities?.[kind]) : "");

/** @param {any} a @param {any} b @param {Set<string>} dropped */
function compare(a, b, dropped) {
  const value = /** @type {Record<string, (row: any) => number>} */ ({
    in: (row) => Number(dropped.has(row.tile)),
    data: (row) => -Object.values(row.kinds).filter((code) => !code).length,
    amount: (row) => row.amount,
  });
  const by = value[order.key];
  return (by ? by(a) - by(b) : 0) || (a.tile < b.tile ? -1 : 1);
}
