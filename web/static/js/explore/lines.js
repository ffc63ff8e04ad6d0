// @ts-check
// An estimate as lines, totals and refusals; and what to show instead of a price.
import { LOGIN } from "./address.js";
import { permitWay } from "../base/permits.js";
import { make } from "../base/dom.js";
import { _, n_, page, sentence, won, word } from "../base/i18n.js";
import { bought } from "./bought.js";
import { keepRows, missing, offerList } from "./offers.js";
import { areaProblem, isOfArea } from "./problems.js";
import { asked } from "./state.js";

/** @param {any} answer an estimate @returns {any[]} elements */
export function priceList(answer) {
  const refusals = answer.refusals ?? [],
    rest = refusals.filter((/** @type {any} */ one) => !answer.offers.some((/** @type {any} */ row) => same(one, row)));
  const list = make(
    "ul.lines",
    { "data-offers": "" },
    offerList({ rows: answer.offers, refused: (row) => row.refusals.map(refusal), cells: answer.cells }).flat(),
    rest.map(refusedItem),
    missing([...answer.offers, ...refusals]),
  );
  keepRows(list, answer.offers);
  return [
    ...bought(answer),
    list,
    answer.offers.length && !answer.lines.length ? make("p.muted", _("Nothing is chosen. Tick what you want.")) : null,
    barely(answer.barely),
    make(
      "div.totals",
      row(_("Subtotal"), won(answer.subtotal)),
      row([_("VAT"), "10%"].join(" "), won(answer.vat)),
      make("div.total", make("span", _("Total")), make("span", { id: "total" }, won(answer.total))),
    ),
  ].filter(Boolean);
}

/** @param {any} found tiles of which less than 5 % is in the area */
function barely(found) {
  if (!found?.tiles) return null;
  const text = found.left_out
    ? n_("%(count)s square barely touched is left out", "%(count)s squares barely touched are left out", found.tiles)
    : n_(
        "%(count)s square barely touched (inside by less than 5 %)",
        "%(count)s squares barely touched (inside by less than 5 %)",
        found.tiles,
      );
  return make(
    "p.barely",
    { "data-barely": String(found.tiles) },
    make("span", text),
    make("b", `${found.left_out ? "+" : "−"}${won(found.amount)}`),
    make("button.link", { type: "button", id: "leave-barely" }, found.left_out ? _("Take them in") : _("Leave them out")),
  );
}

/** @param {any} a @param {any} b */
const same = (a, b) => a.org === b.org && a.dataset === b.dataset && a.layer === b.layer;
/** @param {string} name @param {string} value */
const row = (name, value) => make("div", make("span", name), make("span", value));

/** @param {any} one */
const refusedItem = (one) =>
  make(
    "li",
    make(`span.swatch.${one.kind}`, { "aria-hidden": "true" }),
    make("span.what", `${one.dataset} · ${one.layer}`),
    make("span.chip." + one.class, word("classes", one.class)),
    refusal(one),
  );

/** @param {any} one */
const refusal = (one) =>
  make(
    "span.refused",
    { "data-code": one.code, "data-tiles": String(one.tiles) },
    `${sentence(one)} `,
    permitWay(one.code),
    " ",
    one.permit ? make("span.nowrap", `(${one.permit}) `) : null,
    make("span.nowrap", n_("%(count)s square left out", "%(count)s squares left out", one.tiles)),
  );

/** The way to sign in and back. @param {string} text */
export const signIn = (text) => make("a.button.primary", { href: LOGIN, "data-login": "" }, text);

/** What to show instead of a price. @param {any} error @param {() => void} again @returns {any[]} */
export function priceProblem(error, again) {
  if (error.status === 401) {
    const text = page.signedIn ? _("Your session has ended. Your area is kept.") : _("Sign in to see prices.");
    return [make("div.empty", make("p", text), make("p", signIn(_("Sign in"))))];
  }
  const parts = [
    make(
      "p.error",
      { role: "alert", "data-code": error.code },
      error.code === "network"
        ? _("No answer from the server. Your area is kept.")
        : isOfArea(error)
          ? areaProblem(error, "", asked()?.region)
          : sentence(error),
    ),
  ];
  const canPass = error.code === "network" || error.status === 429 || error.status >= 500,
    isLimited = !page.signedIn && [413, 429].includes(error.status);
  if (canPass || isLimited)
    parts.push(
      make(
        "p.actions",
        canPass && make("button", { type: "button", onclick: again }, _("Try again")),
        isLimited && signIn(_("Sign in to go on")),
      ),
    );
  return parts;
}
