// @ts-check
// The search for a place: one box that takes names, coordinates and tile numbers, and a list of what is meant.
import { get } from "../base/api.js";
import { make, one, showText } from "../base/dom.js";
import { _, sentence } from "../base/i18n.js";
import { square } from "./grid.js";

/** @typedef {{kind: string, name: string, within: string, lon: number, lat: number, box: [number, number, number, number] | null,
 *   key: string, system: string, tile: string}} Found */
/** @typedef {{label: string, fits: (found: Found) => boolean, act: (found: Found) => any}} Action */

const PAUSE_MS = 120;
const POINT_ZOOM = 16;
const COLOUR = "#ffcf70";

/** Wire a box of `base/_places.html`. `map` gives the map, or null while there is none; `action` is what can be done with a place that
 * was found, besides going there. @param {HTMLElement} box @param {() => any} map @param {Action | null} [action] */
export function placeSearch(box, map, action = null) {
  const input = one("input", box),
    list = one("[role=listbox]", box),
    note = one("[role=status]", box),
    chosen = one(".chosen", box);
  /** @type {Found[]} */
  let found = [];
  let active = -1,
    timer = 0;
  /** @type {AbortController | null} */
  let asking = null;

  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  };
  const point = (/** @type {number} */ at) => {
    active = at;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    const item = list.children[at];
    if (!item) return;
    input.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  };
  const choose = (/** @type {Found} */ place) => {
    close();
    input.value = place.name;
    showText(note, "");
    goTo(map(), place);
    const name = make("span", make("b", make("bdi", place.name)), place.within ? make("span.muted", ` ${place.within}`) : null);
    const act = action?.fits(place) ? make("button", { type: "button", onclick: () => action.act(place) }, action.label) : null;
    const clear = make("button.link", { type: "button", "aria-label": _("Close"), onclick: () => forget(input.focus()) }, "×");
    chosen.replaceChildren(name, ...(act ? [act] : []), clear);
    chosen.hidden = false;
    box.dataset.chosen = place.name;
  };
  const forget = (/** @type {any} */ _done) => {
    chosen.hidden = true;
    input.value = "";
    delete box.dataset.chosen;
    mark(map(), null);
  };
  const ask = async () => {
    const text = input.value.trim();
    asking?.abort();
    if (!text) return (close(), showText(note, ""));
    const mine = (asking = new AbortController());
    try {
      const answer = await get(`/places?limit=8&q=${encodeURIComponent(text)}`, { signal: mine.signal });
      found = answer.found;
      show();
    } catch (error) {
      if (/** @type {any} */ (error).name === "AbortError") return;
      close();
      showText(note, sentence(error));
    }
  };
  const show = () => {
    list.replaceChildren(...found.map(option));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(Boolean(found.length)));
    point(-1);
    const isQuestion = found.length > 1 && found.every((one_) => one_.system);
    showText(note, isQuestion ? _("This can be read in more than one way. Which one do you mean?") : found.length ? "" : nothing());
  };
  const option = (/** @type {Found} */ place, /** @type {number} */ at) =>
    make(
      "li",
      {
        role: "option",
        id: `${list.id}-${at}`,
        "aria-selected": "false",
        onmousedown: (/** @type {any} */ e) => (e.preventDefault(), choose(place)),
      },
      make("bdi", place.name),
      make("span.muted.small", ` ${[place.within, place.system].filter(Boolean).join(" · ")}`),
    );

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
  input.addEventListener("keydown", async (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !list.hidden) {
      event.preventDefault();
      point((active + step + found.length) % found.length);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault(); // the box may stand in a form of another purpose
      clearTimeout(timer);
      if (active < 0) await ask();
      const only = active < 0 && found.length > 1 && found.every((one_) => one_.system) ? null : found[Math.max(active, 0)];
      if (only && !list.hidden) choose(only);
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      close();
    }
  });
  input.addEventListener("blur", close);
}

const nothing = () =>
  _("No place is called that here. Names of Korea, names in the data on offer, coordinates and tile numbers are known.");

/** Show a place on a map, and mark it. @param {any} map @param {Found} place */
function goTo(map, place) {
  if (!map) return;
  const data =
    place.kind === "tile"
      ? square(place.tile)
      : { type: "Feature", properties: { name: place.name }, geometry: { type: "Point", coordinates: [place.lon, place.lat] } };
  mark(map, data);
  if (place.box && place.box[0] < place.box[2]) map.fitBounds(place.box, { padding: 40, maxZoom: POINT_ZOOM, duration: 0 });
  else
    map.jumpTo({ center: [place.lon, place.lat], zoom: place.kind === "tile" ? Math.min(POINT_ZOOM, place.tile.length - 1) : POINT_ZOOM });
}

/** @param {any} map @param {any} feature or null for no mark */
function mark(map, feature) {
  if (!map) return;
  const data = { type: "FeatureCollection", features: feature ? [feature] : [] };
  if (map.getSource("place")) return map.getSource("place").setData(data);
  map.addSource("place", { type: "geojson", data });
  map.addLayer({ id: "place-line", type: "line", source: "place", paint: { "line-color": COLOUR, "line-width": 2.5 } });
  map.addLayer({
    id: "place",
    type: "circle",
    source: "place",
    filter: ["==", ["geometry-type"], "Point"],
    paint: { "circle-radius": 6, "circle-color": COLOUR, "circle-stroke-color": "#0a1420", "circle-stroke-width": 2 },
  });
}

/** The outline of a place: of a division or an area as it is known, of a tile its square. @param {Found} place @returns {Promise<any>} */
export const outlineOf = async (place) =>
  place.kind === "tile" ? square(place.tile).geometry : (await get(`/places/${encodeURIComponent(place.key)}`)).region;

/** Whether a place has an outline. @param {Found} place */
export const hasOutline = (place) => place.kind === "tile" || Boolean(place.key);
