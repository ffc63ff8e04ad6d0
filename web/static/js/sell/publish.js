// @ts-check
// Price and publication: the rate card with its live price of 1 km2, classes, publish and withdraw; errors stand beside their fields.
import { call, get, post } from "../base/api.js";
import { accuracies, showAccuracies } from "./accuracy.js";
import { showDifferences } from "./differences.js";
import { confirmed, showPlace, showPrices } from "./questions.js";
import { all, make, one, showText } from "../base/dom.js";
import { _, charged, n_, page, sentence, won, word } from "../base/i18n.js";

const base = `/datasets/${page.dataset}/versions/${page.version}`;
const form = one("#publish");
/** @type {AbortController | null} */
let asking = null;
/** @type {any} */
let timer = null;
/** @type {any} */
let appraisal = null;
/** @type {any} */
let map = null;

/** The rate card as typed: whole numbers as numbers, anything else as it stands, so that the server can say what is wrong with it. */
function rates() {
  /** @type {Record<string, any>} */
  const card = {};
  for (const input of all("[data-rate]", form)) {
    const text = input.value.replaceAll(/[,\s₩]/g, "");
    if (text) card[input.name] = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  }
  return card;
}

/** What newer versions cost, as the server names it. @param {FormData} given */
const updates = (given) => (given.get("updates") === "free" ? `free:${String(given.get("months")).trim()}` : given.get("updates"));

/** Put an error where it belongs: beside the field that it is about, else below the form. @param {any} error @param {boolean} [focus] */
function complain(error, focus = false) {
  const unit = String(error.details?.unit ?? "");
  const code = String(error.code);
  const place = code.startsWith("rates.")
    ? one(`[data-problem="${unit}"]`, form)
      ? unit
      : "rates"
    : code.startsWith("licence.")
      ? "licence"
      : code.startsWith("class.")
        ? "classes"
        : code.startsWith("offer.attribution")
          ? "attribution"
          : code === "offer.updates"
            ? "months"
            : code === "version.unanswered"
              ? `confirmed-${error.details?.questions?.[0]}`
              : "all";
  const problem = one(`[data-problem="${place}"]`, form);
  problem.dataset.code = code;
  showText(problem, sentence(error));
  const field = one(`[name="${place}"]`, form) ?? one("input", problem.closest(".questions"));
  field?.setAttribute("aria-invalid", "true");
  const folded = field?.closest("details");
  if (folded) folded.open = true;
  if (focus) ((field ?? problem).scrollIntoView({ block: "center" }), field?.focus());
}

/** @param {string} [only] a field name */
function forgive(only) {
  for (const problem of all("[data-problem]", form))
    if (!only || problem.dataset.problem === only || problem.dataset.problem === "rates" || problem.dataset.problem === "all")
      showText(problem, "");
  for (const field of all("[aria-invalid]", form)) if (!only || field.name === only) field.removeAttribute("aria-invalid");
}

/** Show at once what is wrong with a rate, before the server is asked. @param {any} input @returns {boolean} whether something is */
function isWrong(input) {
  const rate = rates()[input.name];
  if (rate === undefined || (Number.isInteger(rate) && rate >= 0 && rate <= page.most)) return false;
  complain({ code: "rates.value", details: { unit: input.name } });
  return true;
}

/** Ask what the rates would cost, a moment after the last key. */
function appraise() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    asking?.abort();
    asking = new AbortController();
    const card = rates();
    showPrices(card);
    const any = Object.keys(card).length > 0;
    const wrong = all("[data-rate]", form).filter(isWrong).length > 0;
    one("#bill-empty").hidden = any;
    one("#bill-wrong").hidden = !wrong;
    if (!any || wrong) return void (one("#bill-full").hidden = true);
    try {
      appraisal = await call("POST", `${base}/appraisal`, { rates: card }, { signal: asking.signal });
      forgive();
      show();
    } catch (error) {
      if (/** @type {any} */ (error).name === "AbortError") return;
      one("#bill-full").hidden = true;
      one("#bill-wrong").hidden = !(/** @type {any} */ (error).code?.startsWith("rates."));
      complain(error);
    }
  }, 200);
}

/** Ask about rates that are far from the usual. @param {Record<string, number>} unusual by unit the usual rate */
function ask(unusual) {
  const units = Object.keys(unusual);
  one("#unusual").hidden = !units.length;
  if (!units.length) one("#unusual input").checked = false;
  one("#unusual-says").textContent = units
    .map((unit) =>
      _("%(unit)s usually costs about %(usual)s. What you ask is 1,000 times that or more.", {
        unit: word("units", unit),
        usual: won(unusual[unit]),
      }),
    )
    .join(" ");
}

/** The bill of 1 km2 as the typical square is, line by line. */
function show() {
  const { median, dearest, whole, squares } = appraisal;
  const typical = median.per_km2;
  ask(appraisal.unusual);
  one("#bill-full").hidden = false;
  one("#median").textContent = won(typical.total);
  one("#dearest").textContent = won(dearest.per_km2.total);
  one("#whole").textContent = won(whole.total);
  one("#median-says").textContent = n_(
    "1 km² with as much data as the only square of the map; VAT included.",
    "1 km² with as much data as the middle one by price of %(count)s squares; VAT included.",
    squares,
  );
  const line = (/** @type {any} */ one) =>
    make("tr", make("td", word("kinds", one.kind)), make("td", charged(one)), make("td.n", won(one.amount)));
  one("#median-lines").replaceChildren(
    ...typical.lines.map(line),
    make("tr", make("td", `${_("VAT")} 10%`), make("td"), make("td.n", won(typical.vat))),
  );
}

/** @param {any} button @param {() => Promise<any>} request */
async function submit(button, request) {
  forgive();
  button.disabled = true;
  try {
    await request();
    location.reload();
  } catch (error) {
    button.disabled = false;
    complain(error, true);
  }
}

/** Save the class of one layer; what was typed elsewhere stays. @param {any} select */
async function classify(select) {
  showText(one('[data-problem="classes"]', form), "");
  const line = select.selectedOptions[0]?.dataset.line ?? "";
  one("[data-class-line]", select.closest("div")).textContent = line;
  try {
    await post(`${base}/classes`, { classes: { [select.dataset.class]: select.value } });
    one("#classes-saved").textContent = _("Saved.");
  } catch (error) {
    complain(error);
  }
}

form?.addEventListener("submit", (/** @type {any} */ event) => {
  event.preventDefault();
  const given = new FormData(form);
  const terms = {
    version: page.version,
    rates: rates(),
    licence: given.get("licence"),
    attribution: String(given.get("attribution")).trim(),
    credits_earlier: given.has("credits_earlier"),
    updates: updates(given),
    confirmed: confirmed(form),
    accuracies: accuracies(form),
  };
  submit(one("button.primary", form), () => post(`/datasets/${page.dataset}/publish`, terms));
});
form?.addEventListener("input", (/** @type {any} */ event) => {
  if ("rate" in event.target.dataset) (forgive(event.target.name), isWrong(event.target), appraise());
  if (event.target.name === "months") one('[name="updates"][value="free"]', form).checked = true;
});
form?.addEventListener("change", (/** @type {any} */ event) => {
  const field = event.target;
  if (field.name === "licence") for (const text of all("[data-licence]")) text.hidden = text.dataset.licence !== field.value;
  if (field.dataset.class && field.value) classify(field);
});
one("#withdraw")?.addEventListener("click", (/** @type {any} */ event) => {
  if (confirm(event.target.dataset.confirm)) submit(event.target, () => post(`/datasets/${page.dataset}/withdraw`));
});
one("#recall-sure")?.addEventListener("change", (/** @type {any} */ event) => (one("#recall-now").disabled = !event.target.checked));
one("#recall-now")?.addEventListener("click", async (/** @type {any} */ event) => {
  event.target.disabled = true;
  try {
    await post(`${base}/recall`);
    location.reload();
  } catch (error) {
    event.target.disabled = false;
    showText(one('[data-problem="recall"]'), sentence(error));
  }
});
document.addEventListener("click", (event) => {
  const button = /** @type {any} */ (event.target).closest("[data-square]");
  if (button && appraisal) map?.showSquare(appraisal[button.dataset.square].tile);
  const place = /** @type {any} */ (event.target).closest("[data-lon]");
  if (place && map) showPlace(map.map, place);
});

if (form) (appraise(), showAccuracies(form));
const [found, cells] = await Promise.all([get(`${base}/changes`), get(`${base}/coverage`)]);
map = await showDifferences(one("#map"), found.layers, cells);
if (!map) one(".minimap").hidden = true;
one("#map-says").textContent = map ? n_("%(count)s tile", "%(count)s tiles", map.count) : "";
document.documentElement.dataset.ready = "yes";
