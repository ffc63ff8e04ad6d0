// @ts-check
// A version's page: the map of its cells and findings, forms that answer through the API; htmx brings the state while it is checked.
import { call, get, post } from "../base/api.js";
import { all, one, showText } from "../base/dom.js";
import { _, n_, page, sentence } from "../base/i18n.js";
import { boxOf, canDraw, createMap, addMarks, collection, ink, maplibregl } from "../map/map.js";
import { PlaceMap, addPlaces } from "../upload/places.js";
import { placementOf, placing } from "../upload/placing.js";

const base = `/datasets/${page.dataset}/versions/${page.version}`;
/** @type {any} */
let map = null;
/** @type {any} */
let marker = null;
let drawn = "";

/** Send a form or a button's request; load the page again, or another, when it worked.
 * @param {any} element @param {() => Promise<any>} request @param {string} [then] */
async function submit(element, request, then) {
  const problem = one("[data-problem]", element.closest("form, .card") ?? document) ?? one("[data-problem]");
  const button = element.matches("button") ? element : one("button", element);
  button.disabled = true;
  try {
    await request();
    then ? location.assign(then) : location.reload();
  } catch (error) {
    button.disabled = false;
    if (problem) (showText(problem, sentence(error)), (problem.dataset.code = /** @type {any} */ (error).code));
    const more = /** @type {any} */ (error).message;
    if (problem && more && more !== problem.textContent) problem.append(` (${more})`);
  }
}

/** What is stated of footage, with the file that was chosen. @param {any} form */
async function reviewOf(form) {
  const given = new FormData(form);
  const file = /** @type {File} */ (given.get("document"));
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  const [method, tool, statement] = ["method", "tool", "statement"].map((name) => given.get(name));
  return {
    ...{ layer: form.dataset.layer, method, tool, statement, sample: Number(given.get("sample")) },
    document: bytes.length ? { name: file.name, base64: btoa(text) } : null,
  };
}

document.addEventListener("submit", (event) => {
  const form = /** @type {any} */ (event.target);
  const given = new FormData(form);
  if (form.id === "placement") {
    event.preventDefault();
    submit(form, () => post(`${base}/placement`, placementOf(form)));
  }
  if (form.matches("[data-asks-review]")) {
    event.preventDefault();
    submit(form, async () => post(`${base}/review`, await reviewOf(form)));
  }
  if (form.id === "classes") {
    event.preventDefault();
    submit(form, () => post(`${base}/classes`, { classes: Object.fromEntries(given) }));
  }
});

document.addEventListener("click", (event) => {
  const button = /** @type {any} */ (event.target).closest("button");
  if (button?.dataset.post && (!button.dataset.confirm || confirm(button.dataset.confirm))) submit(button, () => post(button.dataset.post));
  if (button?.dataset.leaveOut) submit(button, () => post(`${base}/leave-out`, { files: JSON.parse(button.dataset.leaveOut) }));
  if (button?.matches("[data-remove]")) submit(button, () => call("DELETE", base), "/sell");
  if (button?.dataset.lon) showFinding(button);
});

/** Go to where a finding is, and mark it there and in the list. @param {any} button */
function showFinding(button) {
  const lon = Number(button.dataset.lon),
    lat = Number(button.dataset.lat);
  for (const line of all(".findings li")) line.classList.toggle("shown", line.contains(button));
  one("#map-says").textContent = `${lat.toFixed(6)}, ${lon.toFixed(6)}`;
  if (!map) return;
  marker?.remove();
  marker = new maplibregl.Marker({ color: "#ff8f85" }).setLngLat([lon, lat]).addTo(map);
  map.jumpTo({ center: [lon, lat], zoom: 17 });
  document.documentElement.dataset.shown = `${map.getCenter().lng.toFixed(6)},${map.getCenter().lat.toFixed(6)}`;
  one(".minimap").scrollIntoView({ block: "nearest" });
}

/** Findings that have a place, as dots: red for errors, amber for the rest. */
function markFindings() {
  const dots = all(".findings [data-lon]").map((button) => ({
    type: "Feature",
    properties: { bad: Boolean(button.closest("li").querySelector(".chip.error, .chip.question")) },
    geometry: { type: "Point", coordinates: [Number(button.dataset.lon), Number(button.dataset.lat)] },
  }));
  map.getSource("found").setData(collection(dots));
  return dots;
}

/** Let an unplaced version be placed, with the answer on the map. */
function askPlace() {
  const form = one("#placement");
  if (!form || form.dataset.asking) return;
  form.dataset.asking = "yes";
  const places = new PlaceMap(one("#map"));
  places.made = Promise.resolve(map);
  if (map) map.on("click", (/** @type {any} */ event) => places.onPick?.(event.lngLat.lng, event.lngLat.lat));
  placing(one("[data-placing]", form), {
    own: () => JSON.parse(form.dataset.own),
    show: (boxes) => places.show(boxes),
    picking: (pick) => places.picking(pick),
  });
}

/** Draw the cells when they are known. */
async function refresh() {
  askPlace();
  const state = one("#version")?.dataset.state ?? "";
  if (!map || state === drawn || one("#version")?.dataset.busy === "yes") return;
  drawn = state;
  const cells = await get(`${base}/coverage`).catch(() => collection([]));
  map.getSource("cells").setData(cells);
  const box = boxOf(cells) ?? boxOf(collection(markFindings()));
  markFindings();
  if (box) map.fitBounds(box, { padding: 30, maxZoom: 16, animate: false });
  one("#map-says").textContent = cells.features.length
    ? n_("%(count)s tile", "%(count)s tiles", cells.features.length)
    : _("Nothing is placed yet.");
}

if (canDraw()) {
  map = await createMap(one("#map"));
  addMarks(map, "cells", 0.14);
  addPlaces(map, ink);
  map.addSource("found", { type: "geojson", data: collection([]) });
  map.addLayer({
    id: "found",
    type: "circle",
    source: "found",
    paint: {
      "circle-radius": 5,
      "circle-color": ["case", ["get", "bad"], "#ff8f85", "#ffcf70"],
      "circle-stroke-color": "#0a1420",
      "circle-stroke-width": 1,
    },
  });
} else one(".minimap").hidden = true;
new MutationObserver(refresh).observe(one("#state"), { childList: true }); // not deeper: what refresh itself writes is inside
await refresh();
if (location.hash === "#remove" && one("#remove")) one("#remove").open = true;
document.documentElement.dataset.ready = "yes";
