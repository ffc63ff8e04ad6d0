// @ts-check
// Areas that are not drawn: a typed box, pasted text, a file dropped on the page.
import { one, tell } from "./dom.js";
import { _ } from "./i18n.js";
import { polygonsOf } from "./grid.js";

/** Wire the forms. `use.outline(ring)` and `use.region(geo)` take the area, `problem(error)` shows why there is none.
 * @param {{outline: (ring: [number, number][]) => void, region: (geo: any) => void}} use @param {(error: any) => void} problem */
export function wireAreas(use, problem) {
  /** @param {string} text */
  const take = (text) => {
    try {
      use.region(regionOf(text));
    } catch {
      problem({ code: "region.malformed", status: 422, message: "" });
    }
  };
  one("#typed-box").addEventListener("submit", (/** @type {any} */ event) => {
    event.preventDefault();
    const found = typedBox(new FormData(event.target));
    tell(one("#typed-error"), typeof found === "string" ? found : "");
    if (typeof found !== "string") use.outline(found);
  });
  one("#pasted").addEventListener("submit", (/** @type {any} */ event) => (event.preventDefault(), take(one("textarea", event.target).value)));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) take(await file.text());
  });
}

/** The polygons of a text in GeoJSON as one geometry. @param {string} text */
export function regionOf(text) {
  const geo = JSON.parse(text);
  const polygons = polygonsOf(geo);
  if (!polygons.length) throw new Error("no polygon");
  const crs = geo.crs ? { crs: geo.crs } : {}; // the server says what is wrong with it
  return polygons.length === 1 ? { type: "Polygon", coordinates: polygons[0], ...crs } : { type: "MultiPolygon", coordinates: polygons, ...crs };
}

/** The ring of a typed box, or what is wrong with it. @param {FormData} form @returns {[number, number][] | string} */
export function typedBox(form) {
  const [w, s, e, n] = ["west", "south", "east", "north"].map((name) => Number(String(form.get(name)).replace(",", ".")));
  if (![w, s, e, n].every(Number.isFinite)) return _("Four numbers in degrees are needed.");
  if (!(w < e && s < n)) return _("West must be smaller than east, and south smaller than north.");
  if (w < -180 || e > 180 || s < -85 || n > 85) return _("Longitude is within ±180 and latitude within ±85 degrees.");
  return [[w, s], [e, s], [e, n], [w, n]];
}
