// @ts-check
// Questions before publication: what the length in question costs at the rates that are typed, and where it is.
import { all, one } from "../base/dom.js";
import { number, won, word } from "../base/i18n.js";
import { maplibregl } from "../map/map.js";

/** @type {any} */
let marker = null;

/** Write beside each length what it costs a buyer. @param {Record<string, any>} card the rates as typed */
export function showPrices(card) {
  for (const place of all("[data-metres]")) {
    if (!place.dataset.metres) continue;
    const km = Number(place.dataset.metres) / 1000,
      rate = card[place.dataset.unit];
    const length = `${number(Math.round(km * 10) / 10)} km`;
    place.textContent = typeof rate === "number" ? `${length} = ${won(Math.round(km * rate))}` : length;
    place.title = word("units", place.dataset.unit);
  }
}

/** Codes of the questions that are answered. @param {HTMLElement} form */
export const confirmed = (form) => all('[name="confirmed"]:checked', form).map((box) => box.value);

/** Go to where a question is and mark it. @param {any} map @param {any} button */
export function showPlace(map, button) {
  /** @type {[number, number]} */
  const at = [Number(button.dataset.lon), Number(button.dataset.lat)];
  marker?.remove();
  marker = new maplibregl.Marker({ color: "#ff8f85" }).setLngLat(at).addTo(map);
  map.jumpTo({ center: at, zoom: 14 });
  document.documentElement.dataset.shown = at.map((value) => value.toFixed(6)).join(",");
  one(".minimap").scrollIntoView({ block: "nearest" });
}
