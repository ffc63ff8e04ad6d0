// @ts-check
// The offers of an area as rows, each with its own check box; those that sell the same stand together, one beside the other.
import { all, make } from "../base/dom.js";
import { _, bytes, charged, n_, number, page, won, word, worth } from "../base/i18n.js";
import { previewButton } from "../preview/preview.js";
import { state, takeInstead, tick } from "./state.js";

/** @typedef {{rows: any[], refused: (row: any) => any[], cells: number}} Offered */

const DAY_MS = 86_400_000;
const SEOUL_MS = 9 * 3_600_000;

/** The rows of an estimate, group by group, kinds in the order of the page. @param {Offered} offered @returns {any[]} elements */
export function offerList(offered) {
  const kinds = [...page.kinds];
  /** @type {Map<number, any[]>} */
  const groups = new Map();
  for (const row of [...offered.rows].sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind)))
    groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  return [...groups.values()].map((group) => (sellers(group) > 1 ? alternatives(group, offered) : group.map((row) => item(row, offered))));
}

/** @param {any[]} group */
const sellers = (group) => new Set(group.map((row) => `${row.org}/${row.dataset}`)).size;

/** What is taken while nobody chooses, in the words of docs/buyer.md. */
const RULE = () =>
  _("They sell the same on the same ground. Unless you choose, the best quality is taken, then the newest, then the cheapest a square.");

/** Offers that sell the same: one is taken unless the buyer wants more. @param {any[]} group @param {Offered} offered */
function alternatives(group, offered) {
  const title = `${word("kinds", group[0].kind)}: ${n_("Choose one of %(count)s", "Choose one of %(count)s", sellers(group))}`,
    several = sellers(group.filter((row) => row.chosen)) > 1;
  return make(
    "li.alternatives",
    { "data-group": String(group[0].group) },
    make(
      "div",
      { role: "group", "aria-label": title },
      make("div.choose", make("b", title), make("span.muted.small", RULE())),
      several && make("p.warn.small", { role: "status" }, _("More than one is chosen: all of them are paid.")),
      make(
        "ul.lines",
        group.map((row) => item(row, offered)),
      ),
      comparison(group),
    ),
  );
}

/** @param {any} row @param {Offered} offered */
function item(row, offered) {
  const name = `${row.dataset} · ${row.org}`,
    owned = row.owned_tiles ? _("already yours: %(count)s", { count: number(row.owned_tiles) }) : "",
    preview = previewButton(`${row.org}/${row.dataset}//${row.layer}`);
  return make(
    "li",
    { "data-offer": row.offer, "data-layer": row.layer, "data-dataset": row.dataset, "data-chosen": row.chosen ? "yes" : "no" },
    make("label.hit", box(row, `${word("kinds", row.kind)}: ${name}`), make(`span.swatch.${row.kind}`, { "aria-hidden": "true" })),
    make("span.what", word("kinds", row.kind), row.class !== "open" && [" ", make(`span.chip.${row.class}`, word("classes", row.class))]),
    make(row.chosen ? "span.sum" : "span.sum.muted", won(row.amount)),
    make(
      "span.sub",
      make("a", { href: `/datasets/${row.org}/${row.dataset}` }, name),
      make("span", n_("%(count)s square", "%(count)s squares", row.tiles), preview && " · ", preview),
    ),
    make("span.sub", make("span", separated(facts(row, offered))), make("span", word("licences", row.licence))),
    make("span.sub", { "data-updates": row.updates }, make("span", `${_("Updates")}: ${updates(row.updates)}`)),
    row.lines.flatMap(lineOf),
    owned && make("span.sub", make("span.good", owned)),
    row.free_tiles > 0 &&
      make("span.sub", { "data-free": "" }, make("span.good", _("free updates: %(count)s", { count: number(row.free_tiles) }))),
    row.permit && permit(row.permit),
    offered.refused(row),
  );
}

/** @param {any} row @param {string} label */
function box(row, label) {
  const made = make("input", { type: "checkbox", name: "offer", value: row.offer, "aria-label": label });
  made.checked = row.chosen;
  made.addEventListener("change", () => tick(row, rowsOf(made), made.checked));
  return made;
}

/** The rows that are shown, as the answer gave them. @type {WeakMap<Element, any[]>} */
const shown = new WeakMap();
/** @param {Element} list @param {any[]} rows */
export const keepRows = (list, rows) => void shown.set(list, rows);
/** @param {Element} inside */
const rowsOf = (inside) => shown.get(/** @type {Element} */ (inside.closest("[data-offers]"))) ?? [];

/** Show other rows; who ticks with the keyboard stays at the row. @param {() => void} replace */
export function keepingFocus(replace) {
  const at = /** @type {any} */ (document.activeElement),
    name = at?.name === "offer" ? at.value : at?.dataset.instead;
  replace();
  if (name && !document.contains(at))
    all("input[name=offer]")
      .find((box_) => box_.value === name)
      ?.focus();
}

/** @param {any} row @param {Offered} offered */
function facts(row, offered) {
  const without = offered.cells - row.tiles - refusedTiles(row, offered);
  return [
    `${word("formats", row.kind)} ${bytes(row.bytes)}`,
    row.as_of && _("as of %(date)s", { date: row.as_of.slice(0, 10) }),
    row.quality !== null && _("quality %(quality)s of 100", { quality: number(row.quality) }),
    without > 0 && n_("no data in %(count)s square", "no data in %(count)s squares", without),
  ].filter(Boolean);
}

/** @param {any} row @param {Offered} offered */
const refusedTiles = (row, offered) => offered.refused(row).reduce((sum, one) => sum + Number(one.dataset.tiles), 0);

/** @param {string[]} texts */
const separated = (texts) => texts.flatMap((text, at) => [at ? " · " : "", make("span.nowrap", text)]);

/** What newer versions cost who buys. @param {string} policy `paid`, `difference`, or `free:` and months */
function updates(policy) {
  if (policy === "difference") return _("paid for what changed only");
  const months = Number(policy.split(":")[1] ?? 0);
  return months
    ? n_("free for %(count)s month after the order", "free for %(count)s months after the order", months)
    : _("paid separately");
}

/** @param {any} line */
const lineOf = (line) => [
  make("span.sub", make("span", charged(line)), make("span", won(line.price))),
  line.credit > 0 &&
    make(
      "span.sub",
      { "data-credit": "" },
      make("span.good", _("Credit: paid earlier for unchanged data")),
      make("span", `−${won(line.credit)}`),
    ),
  line.unusual &&
    make("span.refused", { "data-unusual": line.unit }, _("This rate is 1,000 times the usual one or more. Look at it before you buy.")),
];

/** What whoever buys under a permit must know. @param {any} found */
function permit(found) {
  const purposes = found.purposes.map((/** @type {string} */ code) => word("purposes", code)).join(", ");
  return [
    make("span.sub", { "data-permit": found.number }, make("span", `${_("Permit")} ${found.number}: ${purposes}`), until(found)),
    make("span.sub", make("span", _("For the named persons only. Nobody may be identified, and nothing may be passed on."))),
  ];
}

/** @param {any} found */
const until = (found) => make("span.nowrap", _("until %(date)s", { date: dayBefore(found.valid_to) }));

/** The last day (in Korea) before a moment. @param {string} moment */
const dayBefore = (moment) => new Date(Date.parse(moment) - 1 + SEOUL_MS).toISOString().slice(0, 10);

// ---- side by side ---------------------------------------------------------------------------------------------------------------

/** Groups of which the comparison is open; it stays so while the price follows. @type {Set<string>} */
const opened = new Set();

/** @param {any[]} group */
function comparison(group) {
  const key = group.map((row) => row.offer).join(" ");
  const made = make(
    "details.compare",
    make("summary", _("Compare")),
    make(
      "div.scroll-x",
      { tabindex: "0", role: "region", "aria-label": _("Compare") },
      make(
        "table",
        make("thead", make("tr", make("td"), group.map(heading))),
        make("tbody", comparedRows(group), make("tr", make("th", { scope: "row" }, _("Choice")), group.map(instead))),
      ),
    ),
  );
  made.open = opened.has(key);
  made.addEventListener("toggle", () => (made.open ? opened.add(key) : opened.delete(key)));
  return made;
}

/** @param {any} row */
const heading = (row) => make("th", { scope: "col" }, make("bdi", row.dataset), make("br"), make("span.muted", make("bdi", row.org)));

/** What is compared, a row each; those in which the offers differ are marked. @param {any[]} group */
function comparedRows(group) {
  const rows = /** @type {[string, (row: any) => string][]} */ ([
    [_("Price"), (row) => won(row.amount)],
    [_("Price of a square"), (row) => won(Math.round(row.amount / Math.max(1, row.tiles)))],
    [_("Squares"), (row) => number(row.tiles)],
    [_("Captured"), (row) => (row.as_of ? `${row.as_of.slice(0, 10)} (${age(row.as_of)})` : "–")],
    [_("Quality"), (row) => (row.quality === null ? "–" : number(row.quality))],
    [_("Accuracy"), (row) => (row.accuracy_m === null ? "–" : _("%(metres)s m", { metres: number(row.accuracy_m) }))],
    [_("Licence"), (row) => word("licences", row.licence)],
    [_("Updates"), (row) => updates(row.updates)],
    [_("Size"), (row) => bytes(row.bytes)],
    [_("Version"), (row) => number(row.version)],
  ]);
  return rows.map(([name, value]) => {
    const values = group.map(value),
      differs = new Set(values).size > 1;
    return make(differs ? "tr.differs" : "tr", make("th", { scope: "row" }, name), ...values.map((text) => make("td", text)));
  });
}

/** @param {string} moment */
const age = (moment) => worth(Math.max(0, Math.floor((Date.now() - Date.parse(moment)) / DAY_MS)), undefined);

/** @param {any} row */
function instead(row) {
  const label = `${_("Take this one")}: ${row.dataset} · ${row.org}`;
  const button = make("button.link", { type: "button", "data-instead": row.offer, "aria-label": label }, _("Take this one"));
  button.addEventListener("click", () => takeInstead(row, rowsOf(button)));
  return make("td", row.chosen ? _("chosen") : button);
}

/** Chosen kinds of which nothing is on offer in the area. @param {any[]} found rows and refusals */
export function missing(found) {
  const there = new Set(found.map((one) => one.kind));
  return state.kinds
    .filter((kind) => !there.has(kind))
    .map((kind) =>
      make(
        "li",
        { "data-missing": kind },
        make(`span.swatch.${kind}`, { "aria-hidden": "true" }),
        make("span.what", word("kinds", kind)),
        make("span.sub", _("No data on offer in this area.")),
      ),
    );
}
