// @ts-check
// The price panel: asks while the mouse still draws, drops answers that came too late, shows the price and holds it.
import { ApiError, post } from "../base/api.js";
import { make, one, showText } from "../base/dom.js";
import { _, n_, page, sentence, won } from "../base/i18n.js";
import { nothingHere } from "./bought.js";
import { priceList, priceProblem, signIn } from "./lines.js";
import { clearProblems, showBeside } from "./problems.js";
import { keepingFocus } from "./offers.js";
import { asked, choice, forget, state } from "./state.js";

const PAUSE_MS = 90;
const panel = one("#price"),
  bar = one("#pay-bar");
const ask = pricing(show, (busy) => [panel, bar].forEach((part) => part.classList.toggle("stale", busy)));

/** What the API is asked: area, layers, purpose, choice; null while there is nothing to ask. */
export function wanted() {
  const area = asked();
  if (!area || !state.kinds.length) return null;
  const chosen = choice();
  return { ...area, layers: state.kinds, ...(state.purpose ? { purpose: state.purpose } : {}), ...(chosen ? { choice: chosen } : {}) };
}

/** Ask for the price of the state. */
export function price() {
  const body = wanted();
  if (body && !page.prices) return show(null, { status: 401 });
  ask(body);
}

/** @param {any} answer @param {any} error */
function show(answer, error) {
  if (error) {
    // A half-drawn outline crosses itself for a moment: that is no news.
    if (!state.done && String(error.code).startsWith("region.")) return;
    if (error.code === "offer.unknown") return forget(error.details.unknown);
    return showProblem(error);
  }
  clearProblems();
  notifyFollowers(answer);
  speak(answer);
  if (!answer?.lines.length) hideBar();
  if (!answer) return showNothing();
  if (!answer.offers.length && !answer.refusals.length) {
    panel.replaceChildren(make("div.empty", nothingHere(askSellers)));
    if (counted === JSON.stringify(wanted())) showCounted(); // asked while the price of the same was still on its way
    return;
  }
  keepingFocus(() => {
    panel.replaceChildren(...priceList(answer));
    if (answer.lines.length) showBar(answer.total);
  });
}

function showNothing() {
  panel.replaceChildren(
    make(
      "div.empty",
      make("p", _("No area yet. Draw one on the map.")),
      page.example ? make("p", make("button", { type: "button", id: "example" }, _("Try an example area"))) : null,
    ),
  );
}

/** The total and the way on, which stay in sight. What is pressed stays where it is while the price follows: else a press at that moment,
 * and the focus, would be lost. @param {number} total */
function showBar(total) {
  if (bar.hidden) bar.replaceChildren(due(total), ...onward(), make("p.error", { role: "alert", id: "review-error", hidden: true }));
  bar.hidden = false;
  one("b", bar).textContent = won(total);
  showText(one("#review-error"), "");
}

const hideBar = () => (bar.hidden = true);

/** @param {number} total */
const due = (total) => make("span.due", make("b", won(total)), " ", make("span.small", _("VAT included")));

/** What comes after the price: members hold it, visitors sign in, and auditors and operators only look. @returns {any[]} */
function onward() {
  const note = (/** @type {string} */ text) => make("span.small.muted", text);
  if (!page.signedIn) return [note(_("Tiles that your organisation owns already cost nothing")), signIn(_("Sign in to buy"))];
  if (page.role !== "member") return [note(sentence({ code: "role.member" }))];
  return [
    note(_("Held for 15 minutes at the next step")),
    make("button.primary.big", { type: "button", id: "review", onclick: review }, _("Review and buy")),
  ];
}

let speaking = 0;

/** Say the total to screen readers, once it has come to rest; the one before is not true any more. @param {any} answer */
function speak(answer) {
  clearTimeout(speaking);
  if (!answer?.lines.length) return void (one("#spoken").textContent = "");
  speaking = window.setTimeout(
    () =>
      (one("#spoken").textContent = n_("Total %(total)s for %(count)s square", "Total %(total)s for %(count)s squares", answer.squares, {
        total: won(answer.total),
      })),
    1000,
  );
}

/** Why there is no price: beside where the area came from, or here. @param {any} error @param {string} [from] @param {any} [geo] */
function showProblem(error, from = state.area?.from, geo = asked()?.region) {
  clearProblems();
  notifyFollowers(null);
  speak(null);
  hideBar();
  if (showBeside(error, from, geo)) showNothing();
  else panel.replaceChildren(...priceProblem(error, price));
}

/** Why there is no area; an answer to what was asked before would hide it, and is not waited for any more.
 * @param {any} error @param {string} [from] the element that it came from (its id) @param {any} [geo] what was given */
export function refuseArea(error, from, geo) {
  ask(null);
  showProblem(error, from ?? "", geo ?? null);
}

/** What sellers were asked for last, as JSON. */
let counted = "";

/** A quote of what nobody offers is refused, and counted: sellers see where data is wanted. */
async function askSellers() {
  if (!state.purpose) return askPurpose();
  const body = wanted();
  try {
    location.assign(`/quotes/${(await post("/quotes", body)).id}`); // somebody began to offer it meanwhile
  } catch (error) {
    if (/** @type {any} */ (error).code !== "quote.empty") return void (one("#asked-for").textContent = sentence(error));
    counted = JSON.stringify(body);
    if (counted === JSON.stringify(wanted())) showCounted();
  }
}

function showCounted() {
  one("#asked-for").textContent = _(
    "It is counted. Sellers see at the end of the month where at least three organisations asked, and not who.",
  );
  one("#ask").hidden = true;
}

/** @type {((answer: any) => void)[]} */
const followers = [];
/** Call `follower` with each estimate that is shown, null when there is none. @param {(answer: any) => void} follower */
export const follow = (follower) => void followers.push(follower);
/** @param {any} answer */
const notifyFollowers = (answer) => followers.forEach((follower) => follower(answer));

/** Hold the price and go to the page where it is bought. */
async function review() {
  const button = one("#review");
  if (!state.purpose) return askPurpose();
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    const quote = await post("/quotes", wanted());
    location.assign(`/quotes/${quote.id}`);
  } catch (error) {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    if (/** @type {any} */ (error).status === 401) return showProblem(error);
    showText(one("#review-error"), sentence(error));
  }
}

/** The purpose is a part of the licence: nobody chooses it for the buyer. */
function askPurpose() {
  showText(one("#purpose-problem"), _("Choose what the data is for; it is part of the licence."));
  one("#purpose").setAttribute("aria-invalid", "true");
  one("#purpose").focus();
}

/** Prices of what is asked last. `show` gets (answer, error); both null while nothing is asked.
 * @param {(answer: any, error: any) => void} show @param {(busy: boolean) => void} busy */
export function pricing(show, busy) {
  let timer = 0;
  let running = new AbortController();
  /** @param {any} body null = nothing is chosen */
  return function ask(body) {
    clearTimeout(timer);
    running.abort();
    if (!body) {
      busy(false);
      return show(null, null);
    }
    busy(true);
    timer = window.setTimeout(async () => {
      running = new AbortController();
      const mine = running;
      try {
        const answer = await post("/estimates", body, { signal: mine.signal });
        if (mine === running && !mine.signal.aborted) (busy(false), show(answer, null));
      } catch (error) {
        if (/** @type {any} */ (error).name === "AbortError" || mine.signal.aborted) return;
        busy(false);
        show(null, error instanceof ApiError ? error : new ApiError(0, { code: "internal", message: String(error) }));
      }
    }, PAUSE_MS);
  };
}
