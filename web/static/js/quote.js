// @ts-check
// Review and buy: how long the price is held, another purpose, and paying once however often one clicks.
import { post } from "./api.js";
import { one, tell } from "./dom.js";
import { square } from "./grid.js";
import { page, sentence, won } from "./i18n.js";

const pay = one("#pay");
const problem = one("#problem");
const again = one("#again");

/** The request of this quote, to price it anew. @param {string} purpose */
const asked = (purpose) => {
  const { region, layers, dataset } = page.request;
  return { ...(region ? { region } : { quadkeys: page.cells }), ...(layers ? { layers } : {}), ...(dataset ? { dataset } : {}), purpose };
};

/** Hold the price anew and show it. @param {string} purpose */
async function renew(purpose) {
  try {
    const quote = await post("/quotes", asked(purpose));
    location.replace(`/quotes/${quote.id}`);
  } catch (error) {
    tell(problem, sentence(error));
  }
}

async function buy() {
  if (pay.disabled) return;
  pay.disabled = true;
  pay.setAttribute("aria-busy", "true");
  tell(problem, "");
  try {
    // The key is the quote's own: a second click, a second tab or a repeat after a lost answer is the same purchase.
    const order = await post("/orders", { quote: page.quote }, { headers: { "Idempotency-Key": `web-${page.quote}` } });
    location.assign(`/orders/${order.id}`);
  } catch (error) {
    const { code, details } = /** @type {any} */ (error);
    pay.disabled = false;
    pay.removeAttribute("aria-busy");
    const now = details?.estimate?.total ?? details?.total;
    tell(problem, `${sentence(error)}${code === "quote.price_changed" && Number.isInteger(now) ? ` ${won(page.total)} → ${won(now)}` : ""}`);
    problem.dataset.code = code;
    again.hidden = !["quote.expired", "quote.price_changed", "offer.withdrawn"].includes(code);
  }
}

/** Count down on the reader's own clock from what the server said was left. */
function clock() {
  const end = performance.now() + page.expiresIn * 1000;
  const left = one("#left");
  const tick = () => {
    const seconds = Math.max(0, Math.round((end - performance.now()) / 1000));
    if (!seconds) {
      left.textContent = "";
      tell(problem, sentence({ code: "quote.expired" }));
      again.hidden = false;
      pay.disabled = true;
      return;
    }
    left.textContent = `(${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")})`;
    setTimeout(tick, 1000);
  };
  tick();
}

if (pay) {
  pay.addEventListener("click", buy);
  again.addEventListener("click", () => renew(one("#purpose").value));
  one("#purpose").addEventListener("change", (/** @type {any} */ event) => renew(event.target.value));
  clock();
}

const { boxOf, canDraw, showOn } = await import("./map.js");
const shape = page.region ?? { type: "FeatureCollection", features: page.cells.map(square) };
if (canDraw()) await showOn(one("#map"), shape, boxOf(shape));
else one(".minimap").hidden = true;
document.documentElement.dataset.ready = "yes";
