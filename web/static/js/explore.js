// @ts-check
// The explore page: one state (area, layers, purpose), kept in the address; everything else follows it.
import { post } from "./api.js";
import { all, make, one, tell } from "./dom.js";
import { cellsOf, polygonsOf, square } from "./grid.js";
import { _, number, page, sentence, won, word } from "./i18n.js";
import { priceList, priceProblem, pricing } from "./price.js";
import { listTiles } from "./tilelist.js";

/** @typedef {{type: "outline", ring: [number, number][]} | {type: "tiles", keys: string[]} | {type: "region", geo: any}} Area */
/** @type {{area: Area | null, kinds: string[], purpose: string, done: boolean}} */
const state = { area: null, kinds: page.kinds, purpose: "research", done: true };
/** @type {any} */
let map = null;
/** @type {any} */
let tools = null;
/** @type {any} */
let maps = null;

const panel = one("#price");
const ask = pricing(showPrice, (busy) => panel.classList.toggle("stale", busy));

/** The area as the API takes it, or null. @returns {any} */
function body() {
  const area = state.area;
  if (!area) return null;
  if (area.type === "tiles") return area.keys.length ? { quadkeys: area.keys } : null;
  if (area.type === "region") return { region: area.geo };
  const distinct = new Set(area.ring.map(String));
  return distinct.size >= 3 ? { region: { type: "Polygon", coordinates: [closed(area.ring)] } } : null;
}

/** @param {[number, number][]} ring */
const closed = (ring) => (String(ring[0]) === String(ring.at(-1)) ? ring : [...ring, ring[0]]);

/** @param {Area | null} area @param {boolean} done whether the user finished drawing */
function setArea(area, done = true) {
  state.area = area;
  state.done = done;
  light();
  if (done) remember();
  price();
}

function price() {
  const asked = body();
  if (asked && !page.signedIn) return showPrice(null, { status: 401 });
  ask(asked && state.kinds.length ? { ...asked, layers: state.kinds, purpose: state.purpose } : null);
}

/** Light up the tiles of the area. */
function light() {
  const area = state.area;
  const keys = !area ? [] : area.type === "tiles" ? area.keys : cellsOf(area.type === "outline" ? [[area.ring]] : polygonsOf(area.geo));
  document.documentElement.dataset.tiles = keys ? String([...keys].length) : "many";
  if (!map) return;
  const marks = [...(keys ?? [])].map(square);
  map.getSource("chosen").setData(maps.collection(marks));
  map.getSource("region").setData(maps.collection(area?.type === "region" ? [{ type: "Feature", properties: {}, geometry: area.geo.geometry ?? area.geo }] : []));
}

/** @param {any} answer @param {any} error */
function showPrice(answer, error) {
  const list = one("#tile-list");
  list.hidden = !answer;
  if (list.open && answer && state.done) fillList();
  if (error) {
    // A half-drawn outline crosses itself for a moment: that is no news.
    if (!state.done && String(error.code).startsWith("region.")) return;
    return panel.replaceChildren(...priceProblem(error, price));
  }
  if (!answer) return panel.replaceChildren(make("div.empty", make("p", _("No area yet. Draw one on the map.")), page.example ? make("p", make("button", { type: "button", onclick: example }, _("Try an example area"))) : null));
  if (!answer.lines.length && !answer.refusals.length) return panel.replaceChildren(make("div.empty", make("p", _("Nothing is on offer in this area."))));
  const buy = make("button.primary.big", { type: "button", id: "review", onclick: review }, _("Review and buy"));
  const problem = make("p.error", { role: "alert", id: "review-error", hidden: true });
  panel.replaceChildren(...priceList(answer), answer.lines.length ? make("div.sticky", make("b.only-small", won(answer.total)), make("span.small.muted", _("Held for 15 minutes at the next step")), buy) : "", problem);
}

/** Hold the price and go to the page where it is bought. */
async function review() {
  const button = one("#review");
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    const quote = await post("/quotes", { ...body(), layers: state.kinds, purpose: state.purpose });
    location.assign(`/quotes/${quote.id}`);
  } catch (error) {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    tell(one("#review-error"), sentence(error));
  }
}

/** An area in the middle of what is newest, a little smaller than its tiles. */
function example() {
  const [w, s, e, n] = page.example;
  const [dx, dy] = [(e - w) / 20, (n - s) / 20];
  useOutline([[w + dx, s + dy], [e - dx, s + dy], [e - dx, n - dy], [w + dx, n - dy]]);
}

/** @param {[number, number][]} ring */
function useOutline(ring) {
  const shown = tools?.show(closed(ring));
  if (map) {
    const lons = ring.map((at) => at[0]), lats = ring.map((at) => at[1]);
    map.fitBounds([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)], { padding: 60, maxZoom: 16 });
  }
  setArea(map && !shown ? { type: "region", geo: { type: "Polygon", coordinates: [closed(ring)] } } : { type: "outline", ring });
}

/** @param {any} geo */
function useRegion(geo) {
  tools?.clear();
  const box = maps?.boxOf(geo);
  if (map && box) map.fitBounds(box, { padding: 60, maxZoom: 16 });
  setArea({ type: "region", geo });
}

function fillList() {
  const asked = body();
  if (asked) listTiles(one("#tile-list .scroll"), asked, state.kinds, (keys) => setArea(keys.length ? { type: "tiles", keys } : null));
}

// ---- the state in the address ---------------------------------------------------------------------------------------------------

function remember() {
  const words = new URLSearchParams();
  if (map) {
    const at = map.getCenter();
    words.set("m", [map.getZoom().toFixed(2), at.lat.toFixed(5), at.lng.toFixed(5)].join("/"));
  }
  if (state.kinds.length !== page.kinds.length) words.set("d", state.kinds.join(","));
  if (state.purpose !== "research") words.set("p", state.purpose);
  const area = state.area;
  if (area?.type === "outline") words.set("a", area.ring.map((at) => at.map((value) => value.toFixed(6)).join(",")).join(";"));
  if (area?.type === "tiles" && area.keys.length <= 400) words.set("t", area.keys.join(","));
  history.replaceState(null, "", `#${words.toString().replaceAll("%2C", ",").replaceAll("%3B", ";").replaceAll("%2F", "/")}`);
}

/** @returns {{view: number[] | null, area: Area | null}} */
function remembered() {
  const words = new URLSearchParams(location.hash.slice(1));
  const chosen = words.get("d")?.split(",").filter((kind) => page.kinds.includes(kind));
  if (chosen?.length) state.kinds = chosen;
  if (page.words.purposes[words.get("p") ?? ""]) state.purpose = words.get("p") ?? "research";
  const view = words.get("m")?.split("/").map(Number) ?? null;
  const ring = words.get("a")?.split(";").map((at) => /** @type {[number, number]} */ (at.split(",").map(Number)));
  const keys = words.get("t")?.split(",").filter((key) => /^[0-3]{16}$/.test(key));
  /** @type {Area | null} */
  const area = ring && ring.length >= 3 && ring.flat().every(Number.isFinite) ? { type: "outline", ring } : keys?.length ? { type: "tiles", keys } : null;
  return { view: view?.length === 3 && view.every(Number.isFinite) ? view : null, area };
}

// ---- controls -------------------------------------------------------------------------------------------------------------------

/** @param {string} tool */
function choose(tool) {
  if (tool === "clear") {
    tools?.clear();
    tools?.choose("");
    return setArea(null);
  }
  if (!tools) return;
  tools.choose(tools.tool() === tool ? "" : tool);
}

function showTool(/** @type {string} */ tool) {
  for (const button of all("[data-tool]")) if (button.dataset.tool !== "clear") button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  const hints = {
    polygon: _("Click corner after corner; Enter or a click on the first corner finishes, Esc cancels."),
    rectangle: _("Click one corner, then the opposite one."),
    tiles: _("Click tiles to add or remove them."),
  };
  one("#tool-hint").textContent = /** @type {any} */ (hints)[tool] ?? _("Choose a tool, then click on the map. Corners can be dragged; the price follows.");
}

/** @param {string} key */
function toggleTile(key) {
  const keys = new Set(state.area?.type === "tiles" ? state.area.keys : []);
  if (state.area && state.area.type !== "tiles") tools.clear();
  if (!keys.delete(key)) keys.add(key);
  setArea(keys.size ? { type: "tiles", keys: [...keys].sort() } : null);
}

function wireControls() {
  for (const button of all("[data-tool]")) button.addEventListener("click", () => choose(button.dataset.tool));
  for (const box of all("[name=kind]")) {
    box.checked = state.kinds.includes(box.value);
    box.addEventListener("change", () => {
      const chosen = all("[name=kind]:checked").map((/** @type {any} */ on) => on.value);
      if (!chosen.length) return (box.checked = true);
      state.kinds = chosen;
      if (map) maps.colourCoverage(map, chosen);
      remember();
      price();
    });
  }
  const purpose = one("#purpose");
  purpose.value = state.purpose;
  purpose.addEventListener("change", () => ((state.purpose = purpose.value), remember(), price()));
  one("#typed-box").addEventListener("submit", typedBox);
  one("#pasted").addEventListener("submit", (/** @type {any} */ event) => (event.preventDefault(), paste(one("textarea", event.target).value)));
  one("#tile-list").addEventListener("toggle", (/** @type {any} */ event) => event.target.open && fillList());
  one("#show-coverage").addEventListener("click", () => (map && page.everywhere ? map.fitBounds(page.everywhere, { padding: 40 }) : null));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) paste(await file.text());
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /** @type {any} */ (event.target).closest("input, textarea, select")) return;
    const tool = { p: "polygon", r: "rectangle", t: "tiles" }[event.key.toLowerCase()];
    if (tool) choose(tool);
  });
}

/** @param {any} event */
function typedBox(event) {
  event.preventDefault();
  const form = new FormData(event.target);
  const [w, s, e, n] = ["west", "south", "east", "north"].map((name) => Number(String(form.get(name)).replace(",", ".")));
  const problem = one("#typed-error");
  if (![w, s, e, n].every(Number.isFinite)) return tell(problem, _("Four numbers in degrees are needed."));
  if (!(w < e && s < n)) return tell(problem, _("West must be smaller than east, and south smaller than north."));
  if (w < -180 || e > 180 || s < -85 || n > 85) return tell(problem, _("Longitude is within ±180 and latitude within ±85 degrees."));
  tell(problem, "");
  useOutline([[w, s], [e, s], [e, n], [w, n]]);
}

/** @param {string} text GeoJSON */
function paste(text) {
  try {
    const geo = JSON.parse(text);
    if (!geo || typeof geo !== "object") throw new Error("no object");
    useRegion(geo);
  } catch {
    panel.replaceChildren(...priceProblem({ code: "region.malformed", status: 422, message: "" }, price));
  }
}

// ---- start ----------------------------------------------------------------------------------------------------------------------

/** @param {number[] | null} view */
async function openMap(view) {
  maps = await import("./map.js");
  if (!maps.canDraw()) throw new Error("no WebGL 2");
  const options = view ? { zoom: view[0], center: [view[2], view[1]] } : page.bounds ? { bounds: page.bounds, fitBoundsOptions: { padding: 40, maxZoom: 14 } } : {};
  const made = await maps.createMap(one("#map"), options);
  maps.addCoverage(made, state.kinds);
  maps.addMarks(made, "chosen", 0.18);
  maps.addMarks(made, "region", 0);
  map = made;
  const { drawing } = await import("./draw.js");
  tools = drawing(made, { onOutline: (ring, done) => setArea({ type: "outline", ring: ring.slice(0, -1) }, done), onTile: toggleTile, onTool: showTool });
  made.on("moveend", remember);
  const tip = new maps.maplibregl.Popup({ closeButton: false, closeOnClick: false, offset: 14, maxWidth: "260px" });
  made.on("mousemove", "coverage", (/** @type {any} */ event) => {
    const properties = event.features[0].properties;
    const rows = page.kinds.filter((/** @type {string} */ kind) => properties[kind]).map((/** @type {string} */ kind) => make("div", make(`span.swatch.${kind}`), word("kinds", kind), properties[kind] > 1 ? make("span", `· ${_("%(count)s tiles", { count: number(properties[kind]) })}`) : null));
    tip.setLngLat(event.lngLat).setDOMContent(make("div.tip", rows)).addTo(made);
  });
  made.on("mouseleave", "coverage", () => tip.remove());
}

async function start() {
  const { view, area } = remembered();
  wireControls();
  try {
    await openMap(view);
  } catch (error) {
    if (maps?.canDraw() !== false) console.error(error); // a browser without WebGL 2 is no failure, everything else is
    document.documentElement.dataset.map = "none";
    tell(one("#map-note"), page.hasVendor ? _("This browser cannot draw the map. Type a box instead: price and list work the same.") : _("The map files are missing; on the server, run: python hatch_build.py"));
    one("#typed").open = true;
  }
  if (area?.type === "outline") {
    tools?.show(closed(area.ring));
    setArea(area);
  } else setArea(area);
  document.documentElement.dataset.ready = "yes";
}

start();
