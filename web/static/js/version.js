// @ts-check
// A version's page: the map of its cells and findings, forms that answer through the API; htmx brings the state while it is checked.
import { get, post } from "./api.js";
import { all, one, tell } from "./dom.js";
import { _, number, page, sentence, won } from "./i18n.js";
import { boxOf, canDraw, createMap, addMarks, collection, maplibregl } from "./map.js";

const base = `/datasets/${page.dataset}/versions/${page.version}`;
/** @type {any} */
let map = null;
/** @type {any} */
let marker = null;
let drawn = "";

/** Send a form or a button's request; load the page again when it worked. @param {any} element @param {() => Promise<any>} request */
async function submit(element, request) {
  const problem = one("[data-problem]", element.closest("form") ?? document) ?? one("[data-problem]");
  const button = element.matches("button") ? element : one("button", element);
  button.disabled = true;
  try {
    await request();
    location.reload();
  } catch (error) {
    button.disabled = false;
    if (problem) tell(problem, sentence(error)), (problem.dataset.code = /** @type {any} */ (error).code);
    const more = /** @type {any} */ (error).message;
    if (problem && more && more !== problem.textContent) problem.append(` (${more})`);
  }
}

document.addEventListener("submit", (event) => {
  const form = /** @type {any} */ (event.target);
  const given = new FormData(form);
  if (form.id === "placement") {
    event.preventDefault();
    /** @type {any} */
    const said = {};
    for (const name of ["crs", "height_datum"]) if (given.get(name)) said[name] = String(given.get(name)).trim();
    if (given.get("origin")) said.origin = String(given.get("origin")).split(",").map(Number);
    submit(form, () => post(`${base}/placement`, said));
  }
  if (form.id === "classes") {
    event.preventDefault();
    submit(form, () => post(`${base}/classes`, { classes: Object.fromEntries(given) }));
  }
  if (form.id === "publish") {
    event.preventDefault();
    const rates = Object.fromEntries(all("[data-quantity]", form).filter((input) => input.value.trim()).map((input) => [input.name, Number(input.value.replaceAll(",", ""))]));
    submit(form, () => post(`/datasets/${page.dataset}/publish`, { version: page.version, rates, licence: given.get("licence"), attribution: given.get("attribution") }));
  }
});

document.addEventListener("click", (event) => {
  const button = /** @type {any} */ (event.target).closest("button");
  if (button?.dataset.post && (!button.dataset.confirm || confirm(button.dataset.confirm))) submit(button, () => post(button.dataset.post));
  if (button?.dataset.lon) showFinding(Number(button.dataset.lon), Number(button.dataset.lat));
});

document.addEventListener("input", (event) => {
  if (/** @type {any} */ (event.target).dataset.quantity) sum();
});
document.addEventListener("change", (event) => {
  const select = /** @type {any} */ (event.target);
  if (select.id === "licence") for (const text of all("[data-licence]")) text.hidden = text.dataset.licence !== select.value;
});

/** What all of it would cost, as the seller types. */
function sum() {
  const whole = one("#whole");
  if (whole) whole.textContent = won(Math.round(all("[data-quantity]").reduce((total, input) => total + Number(input.dataset.quantity) * (Number(input.value.replaceAll(",", "")) || 0), 0)));
}

/** @param {number} lon @param {number} lat */
function showFinding(lon, lat) {
  if (!map) return;
  marker?.remove();
  marker = new maplibregl.Marker({ color: "#ff8f85" }).setLngLat([lon, lat]).addTo(map);
  map.jumpTo({ center: [lon, lat], zoom: 17 });
  one("#map-says").textContent = `${lat.toFixed(6)}, ${lon.toFixed(6)}`;
  document.documentElement.dataset.shown = `${lon},${lat}`;
  one(".minimap").scrollIntoView({ block: "nearest" });
}

/** Draw the cells when they are known. */
async function refresh() {
  sum();
  const state = one("#version")?.dataset.state ?? "";
  if (!map || state === drawn || one("#version")?.dataset.busy === "yes") return;
  drawn = state;
  const cells = await get(`${base}/coverage`).catch(() => collection([]));
  map.getSource("cells").setData(cells);
  const box = boxOf(cells);
  if (box) map.fitBounds(box, { padding: 30, maxZoom: 16, animate: false });
  one("#map-says").textContent = cells.features.length ? _("%(count)s tiles", { count: number(cells.features.length) }) : _("Nothing is placed yet.");
}

if (canDraw()) {
  map = await createMap(one("#map"));
  addMarks(map, "cells", 0.14);
} else one(".minimap").hidden = true;
new MutationObserver(refresh).observe(one("#state"), { childList: true }); // not deeper: what refresh itself writes lies inside
await refresh();
document.documentElement.dataset.ready = "yes";
