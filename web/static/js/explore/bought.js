// @ts-check
// What was drawn beside what is bought: whole squares, at their price; and what to do where there is nothing.
import { make, one } from "../base/dom.js";
import { _, bytes, ground, n_, page, SMALL_M2, won } from "../base/i18n.js";
import { square } from "../map/grid.js";
import { state } from "./state.js";

/** The ground, the price of a square kilometre of it, and what is delivered. @param {any} answer an estimate @returns {any[]} elements */
export function bought(answer) {
  if (!answer.lines.length) return [make("p.ground", { id: "ground" }, drawn(answer))];
  const isSquares = state.area?.type === "tiles";
  return [
    make(
      "p.ground",
      { id: "ground" },
      make("b", isSquares && answer.squares === answer.cells ? squaresOf(answer) : sentence(answer)),
      " ",
      !isSquares && make("button.link.nowrap", { type: "button", id: "snap" }, _("Snap to squares")),
    ),
    make(
      "p.small.muted",
      make("span", { id: "rates" }, rates(answer)),
      " · ",
      make("span.nowrap", { id: "files" }, n_("%(count)s file", "%(count)s files", answer.files)),
      ` · ${bytes(answer.bytes)}`,
    ),
  ];
}

/** @param {any} answer */
const drawn = (answer) => _("You drew %(drawn)s.", { drawn: ground(answer.drawn_m2) });

/** @param {any} answer */
const squaresOf = (answer) =>
  n_("You buy %(count)s square = %(bought)s.", "You buy %(count)s squares = %(bought)s.", answer.squares, {
    bought: ground(answer.squares_m2),
  });

/** @param {any} answer */
const sentence = (answer) =>
  n_(
    "You drew %(drawn)s, you buy %(count)s square = %(bought)s.",
    "You drew %(drawn)s, you buy %(count)s squares = %(bought)s.",
    answer.squares,
    { drawn: ground(answer.drawn_m2), bought: ground(answer.squares_m2) },
  );

/** The price of both, of what is small for a square metre. @param {any} answer */
function rates(answer) {
  const isSmall = answer.drawn_m2 < SMALL_M2,
    each = (/** @type {number} */ m2, unit = 1e6) => won(Math.round((answer.total / Math.max(m2, 0.01)) * unit));
  return _("%(drawn)s for 1 %(unit)s of what you drew, %(bought)s for 1 km² of what you buy (VAT included)", {
    drawn: each(answer.drawn_m2, isSmall ? 1 : 1e6),
    unit: isSmall ? "m²" : "km²",
    bought: each(answer.squares_m2),
  });
}

/** What to do where nothing is on offer. @param {() => void} ask makes sellers see what is wanted @returns {any[]} elements */
export function nothingHere(ask) {
  const near = nearest();
  return [
    make("p", _("Nothing is on offer in this area.")),
    make(
      "p.actions",
      near && make("button", { type: "button", "data-box": near.box.join(",") }, _("Show the nearest data: %(name)s", { name: near.name })),
      page.role === "member" && make("button", { type: "button", id: "ask", onclick: ask }, _("Ask sellers for it")),
      page.role === "member" && make("button", { type: "button", onclick: askToKnow }, _("Tell me when there is")),
    ),
    make("p.small", { id: "asked-for", role: "status" }),
  ];
}

/** The way to a notice once there is something: the form that saves the area, ticked. */
function askToKnow() {
  one("#saved").open = true;
  one("#save-area [name=tell]").checked = true;
  one("#save-area [name=name]").focus();
}

/** The region with something on offer that is next to the area, or null. @returns {any} */
function nearest() {
  const [lon, lat] = middle();
  const away = (/** @type {any} */ { box: [w, s, e, n] }) =>
    Math.hypot(Math.max(w - lon, 0, lon - e) * Math.cos((lat * Math.PI) / 180), Math.max(s - lat, 0, lat - n));
  return [...(page.regions ?? [])].sort((a, b) => away(a) - away(b))[0] ?? null;
}

/** A place in the area. @returns {[number, number]} */
function middle() {
  const area = state.area;
  if (!area) return [0, 0];
  const ring =
    area.type === "outline"
      ? area.ring
      : (area.type === "tiles" ? square(area.keys[0]).geometry : area.geo).coordinates.flat(
          area.type === "region" && area.geo.type !== "Polygon" ? 2 : 1,
        );
  const mean = (/** @type {number} */ at) =>
    ring.reduce((/** @type {number} */ sum, /** @type {any} */ place) => sum + place[at], 0) / ring.length;
  return [mean(0), mean(1)];
}
