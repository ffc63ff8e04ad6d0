// @ts-check
// The state in the address: `m` view, `d` layers, `p` purpose, `by` colours, the area as outline `a`, tiles `t` or any shape `g`, `x`
// dropped tiles, `b=0` without tiles barely touched, `o` offers that are taken, `n` offers that are not wanted.
import { page } from "../base/i18n.js";
import { state } from "./state.js";

/** @typedef {import("./state.js").Area} Area */
const SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** Where one signs in and comes back to this state. An area may be too long for an address, and is nobody's business in the logs of
 * servers: this tab remembers it. */
export const LOGIN = `/login?next=${encodeURIComponent("/explore#back")}`;
const PARTS = 1e7; // of a degree: about a centimetre

/** Write the state into the address. @param {any} map or null */
export function remember(map) {
  const words = new URLSearchParams();
  if (map) {
    const at = map.getCenter();
    words.set("m", [map.getZoom().toFixed(2), at.lat.toFixed(5), at.lng.toFixed(5)].join("/"));
  }
  if (state.kinds.length !== page.kinds.length) words.set("d", state.kinds.join(","));
  if (state.purpose) words.set("p", state.purpose);
  if (state.taken.length) words.set("o", listed(state.taken));
  if (state.left.length) words.set("n", listed(state.left));
  if (state.by !== "available") words.set("by", state.by);
  const area = state.done ? state.area : null; // a half-drawn outline is not worth an address
  if (area?.type === "outline") words.set("a", area.ring.map((at) => at.map((value) => value.toFixed(6)).join(",")).join(";"));
  if (area?.type === "tiles") words.set("t", shortened(area.keys));
  if (area?.type === "region") words.set("g", packed(area.geo));
  if (state.leave) words.set("b", "0");
  if (state.dropped.length) words.set("x", shortened(state.dropped));
  const hash = `#${words.toString().replaceAll("%2C", ",").replaceAll("%3B", ";").replaceAll("%2F", "/")}`;
  sessionStorage.setItem("explore", hash);
  history.replaceState(null, "", hash);
}

const VIEW = "explore-view";

/** Keep where this browser looked last: the next visit begins there. @param {any} map */
export function keepView(map) {
  const at = map.getCenter();
  localStorage.setItem(VIEW, [map.getZoom().toFixed(2), at.lat.toFixed(5), at.lng.toFixed(5)].join("/"));
}

/** Zoom, latitude and longitude of the last visit, or null. @returns {number[] | null} */
export const ownView = () => viewOf(localStorage.getItem(VIEW));

const DRAFT = "explore-draft";

/** Keep an outline that is half drawn when the page goes; null when there is none. @param {[number, number][] | null} ring */
export function keepDraft(ring) {
  if (ring) sessionStorage.setItem(DRAFT, JSON.stringify(ring));
  else sessionStorage.removeItem(DRAFT);
}

/** The outline that was half drawn when this page was loaded again, or null; it is given once. @returns {[number, number][] | null} */
export function draft() {
  const kept = sessionStorage.getItem(DRAFT);
  sessionStorage.removeItem(DRAFT);
  const [visit] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  return kept && visit?.type !== "navigate" ? JSON.parse(kept) : null;
}

/** @param {string | null} text @returns {number[] | null} */
function viewOf(text) {
  const view = text?.split("/").map(Number) ?? null;
  return view?.length === 3 && view.every(Number.isFinite) ? view : null;
}

/** Take the state from the address, as far as it makes sense. @returns {{view: number[] | null, area: Area | null, dropped: string[]}} */
export function remembered() {
  const hash = location.hash === "#back" ? (sessionStorage.getItem("explore") ?? "") : location.hash;
  const words = new URLSearchParams(hash.slice(1));
  state.leave = words.get("b") === "0";
  const chosen = words
    .get("d")
    ?.split(",")
    .filter((kind) => page.kinds.includes(kind));
  if (chosen?.length) state.kinds = chosen;
  if (page.words.purposes[words.get("p") ?? ""]) state.purpose = words.get("p") ?? "";
  state.taken = namesOf(words.get("o"));
  state.left = namesOf(words.get("n"));
  if (/^[a-z]{1,20}$/.test(words.get("by") ?? "")) state.by = words.get("by") ?? "available";
  return { view: viewOf(words.get("m")), area: areaOf(words), dropped: keysOf(words.get("x")) };
}

/** Names of offers as one word. @param {string[]} names */
const listed = (names) => names.map(encodeURIComponent).join(",").replaceAll("%2F", "/");

/** @param {string | null} text @returns {string[]} */
function namesOf(text) {
  try {
    return (text ?? "").split(",").filter(Boolean).map(decodeURIComponent);
  } catch {
    return []; // an address that somebody cut
  }
}

/** @param {URLSearchParams} words @returns {Area | null} */
function areaOf(words) {
  const ring = words
    .get("a")
    ?.split(";")
    .map((at) => /** @type {[number, number]} */ (at.split(",").map(Number)));
  if (ring && ring.length >= 3 && ring.flat().every(Number.isFinite)) return { type: "outline", ring };
  const keys = keysOf(words.get("t"));
  if (keys.length) return { type: "tiles", keys };
  const geo = unpacked(words.get("g") ?? "");
  return geo ? { type: "region", geo } : null;
}

/** Quadkeys with what they all begin with written once: `13201233.00112233,00112301`. @param {string[]} keys */
export function shortened(keys) {
  if (keys.length < 2) return keys.join("");
  const sorted = [...keys].sort(),
    first = sorted[0],
    last = sorted[sorted.length - 1];
  let same = 0;
  while (same < first.length - 1 && first[same] === last[same]) same++;
  return same ? `${first.slice(0, same)}.${sorted.map((key) => key.slice(same)).join(",")}` : sorted.join(",");
}

/** @param {string | null} text */
export function keysOf(text) {
  const [head, rest] = text?.includes(".") ? text.split(".") : ["", text ?? ""];
  return rest
    .split(",")
    .map((key) => head + key)
    .filter((key) => /^[0-3]{16}$/.test(key));
}

/** Polygons as short text: each coordinate as the difference to the one before, five bits a sign; `.` parts rings and `~` polygons.
 * @param {any} geo a Polygon or MultiPolygon */
export function packed(geo) {
  let [lon, lat] = [0, 0];
  const polygons = geo.type === "Polygon" ? [geo.coordinates] : geo.coordinates;
  const ringText = (/** @type {number[][]} */ ring) =>
    ring
      .map(([x, y]) => {
        const [east, north] = [Math.round(x * PARTS), Math.round(y * PARTS)];
        const text = number(east - lon) + number(north - lat);
        [lon, lat] = [east, north];
        return text;
      })
      .join("");
  return polygons.map((/** @type {any[]} */ rings) => rings.map(ringText).join(".")).join("~");
}

/** @param {number} value a whole number below 2 ** 36 */
function number(value) {
  let rest = value < 0 ? -2 * value - 1 : 2 * value,
    text = "";
  for (; rest >= 32; rest = Math.floor(rest / 32)) text += SIGNS[(rest % 32) + 32];
  return text + SIGNS[rest];
}

/** What `packed` made, or null. @param {string} text @returns {any} */
export function unpacked(text) {
  if (!/^[\w~.-]+$/.test(text)) return null;
  let [lon, lat] = [0, 0];
  const ring = (/** @type {string} */ part) => {
    const steps = numbers(part),
      places = [];
    for (let i = 0; i + 1 < steps.length; i += 2) places.push([(lon += steps[i]) / PARTS, (lat += steps[i + 1]) / PARTS]);
    return places;
  };
  const polygons = text.split("~").map((polygon) => polygon.split(".").map(ring));
  if (polygons.flat().some((one) => one.length < 4)) return null;
  return polygons.length === 1 ? { type: "Polygon", coordinates: polygons[0] } : { type: "MultiPolygon", coordinates: polygons };
}

/** @param {string} text */
function numbers(text) {
  const found = [];
  let [value, weight] = [0, 1];
  for (const sign of text) {
    const bits = SIGNS.indexOf(sign);
    value += (bits % 32) * weight;
    weight *= 32;
    if (bits >= 32) continue;
    found.push(value % 2 ? -(value + 1) / 2 : value / 2);
    [value, weight] = [0, 1];
  }
  return found;
}
