// @ts-check
// Review and buy: the area's name, how long the price is held, another purpose, and paying once however often one clicks.
import { call, post } from "../base/api.js";
import { all, make, one, showText } from "../base/dom.js";
import { densestBox, dots } from "../map/cluster.js";
import { square } from "../map/grid.js";
import { _, page, sentence } from "../base/i18n.js";
import { named, restoreUsers, watchUsers } from "./users.js";

/** Paying, or for who may not, asking for approval. */
const pay = one("#pay") ?? one("#ask button");
const problem = one("#problem");
const again = one("#again");
/** What was chosen here and is not stored on the server yet; it survives another language and a reload. */
const KEPT = `users-${page.quote}`;
const LOGIN = `/login?next=${encodeURIComponent(location.pathname)}`;
const TRIES = [500, 1500];
/** Refusals that a new quote answers. */
const OUTDATED = ["quote.expired", "quote.price_changed", "quote.terms_changed", "offer.withdrawn"];

/** Hold the price anew and show it beside the old one. @param {HTMLElement} status @param {string} [purpose] */
async function renew(status, purpose) {
  showText(status, "");
  const was = pay?.disabled;
  if (pay) pay.disabled = true; // what is on the page is not what is asked for any more
  try {
    const quote = await post(`/quotes/${page.quote}/renew`, purpose ? { purpose } : {});
    sessionStorage.setItem(`users-${quote.id}`, JSON.stringify(named()));
    location.replace(`/quotes/${quote.id}`);
  } catch (error) {
    if (pay) pay.disabled = was;
    showError(status, error);
  }
}

/** @param {HTMLElement} status @param {any} error */
function showError(status, error) {
  showText(status, sentence(error));
  status.dataset.code = error.code ?? "";
  if (error.status === 401) status.append(" ", make("a", { href: LOGIN }, _("Sign in")));
}

/** The order of this quote. The key is the quote's own: a second click, a second tab or a repeat after a lost answer is the same
 * purchase, so that asking again until an answer comes is safe. @returns {Promise<any>} */
async function order() {
  const persons = named();
  const body = { quote: page.quote, ...(persons.length ? { persons } : {}) };
  for (const pause of [...TRIES, 0]) {
    try {
      return await post("/orders", body, { headers: { "Idempotency-Key": `web-${page.quote}` } });
    } catch (error) {
      if (/** @type {any} */ (error).code !== "network" || !pause) throw error;
      showText(problem, _("No answer yet. Asking again; it is paid once at most."));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

async function buy() {
  if (pay.disabled) return;
  busy(true);
  showText(problem, "");
  showText(one("#users-problem"), "");
  try {
    location.assign(`/orders/${(await order()).id}`);
  } catch (error) {
    const { code, details } = /** @type {any} */ (error);
    if (details?.order && ["quote.bought", "order.key_reused"].includes(code)) return location.assign(`/orders/${details.order}`);
    if (OUTDATED.includes(code)) await renew(problem);
    else if (code.startsWith("order.persons")) showError(one("#users-problem"), error);
    else if (code === "network")
      showError(problem, {
        code: "pay.unknown",
        message: _("No answer from the server. Press Pay again when it is back: this quote is paid once at most, and you get its order."),
      });
    else showError(problem, error);
    busy(false);
    if (OUTDATED.includes(code)) expire();
  }
}

/** @param {boolean} on */
function busy(on) {
  pay.disabled = on;
  pay.toggleAttribute("aria-busy", on);
  if (on) pay.setAttribute("aria-busy", "true");
}

/** Count down on the reader's own clock from what the server reported as left. */
function clock() {
  const end = performance.now() + page.expiresIn * 1000;
  const left = one("#left");
  const tick = () => {
    const seconds = Math.max(0, Math.round((end - performance.now()) / 1000));
    left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (seconds) setTimeout(tick, 1000);
    else expire();
  };
  tick();
}

/** Nothing can be paid any more; a new price can be had. */
function expire() {
  for (const part of all("#pay, #short, #held")) part.hidden = true;
  one("#expired").hidden = again.hidden = false;
}

async function rename() {
  const field = one("#name");
  const status = one("#name-status");
  try {
    const stored = await call("PATCH", `/quotes/${page.quote}`, { name: field.value });
    field.value = stored.name;
    field.removeAttribute("aria-invalid");
    status.textContent = _("Saved");
  } catch (error) {
    field.setAttribute("aria-invalid", "true");
    status.textContent = sentence(error);
  }
}

one("#name").addEventListener("change", rename);
if (again) {
  restoreUsers(JSON.parse(sessionStorage.getItem(KEPT) ?? JSON.stringify(page.named)));
  watchUsers(() => sessionStorage.setItem(KEPT, JSON.stringify(named())));
  one("#pay")?.addEventListener("click", buy);
  again.addEventListener("click", () => renew(problem));
  one("#purpose").addEventListener("change", (/** @type {any} */ event) => renew(one("#purpose-problem"), event.target.value));
  clock();
}

const { boxOf, canDraw, ink, showOn } = await import("../map/map.js");
const shape = page.region ?? { type: "FeatureCollection", features: page.cells.map(square) };
const around = page.region ? boxOf(shape) : densestBox(shape.features);
if (canDraw() && around) {
  const map = await showOn(one("#map"), shape, around);
  if (!page.region) dots(map, "shown", shape.features, { colour: ink("mark") });
} else one(".minimap").hidden = true;
document.documentElement.dataset.ready = "yes";
