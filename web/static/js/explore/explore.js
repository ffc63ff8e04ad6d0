// @ts-check
// The explore page: one state (state.js), kept in the address (address.js); tools, map, price and list follow it.
import { draft, keepDraft, keepView, LOGIN, ownView, remember, remembered } from "./address.js";
import { wireAreas } from "./areas.js";
import { post } from "../base/api.js";
import { all, make, one, showText } from "../base/dom.js";
import { _, page, sentence } from "../base/i18n.js";
import { wireKeys } from "../base/keys.js";
import { hasOutline, outlineOf, placeSearch } from "../map/places.js";
import { addMarks, areaTiles, hatchRefused, light } from "./marks.js";
import { follow, price, refuseArea, wanted } from "./price.js";
import { change, closed, keep, listen, setArea, state, undo } from "./state.js";
import { showTiles, tilesOf } from "./tiles.js";

/** @type {any} */
let map = null;
/** @type {any} */
let tools = null;
/** @type {any} */
let maps = null;
/** @type {(kinds: string[], by: string) => void} */
let recolour = () => undefined;

listen((changed) => {
  if (changed.includes("area") || changed.includes("dropped")) light(maps, map);
  if (changed.includes("kinds") || changed.includes("by")) recolour(state.kinds, state.by);
  if (state.done) remember(map);
  if (changed.some((name) => name !== "by")) price();
});

follow((answer) => {
  one("#tile-list").hidden = !answer;
  if (state.done) fillList(answer);
});

/** An area in the middle of what is newest, a little smaller than its tiles. */
function example() {
  const [w, s, e, n] = page.example;
  const [dx, dy] = [(e - w) / 20, (n - s) / 20];
  useOutline([
    [w + dx, s + dy],
    [e - dx, s + dy],
    [e - dx, n - dy],
    [w + dx, n - dy],
  ]);
}

/** @param {[number, number][]} ring @param {string} [from] where it was typed */
function useOutline(ring, from) {
  const shown = tools?.show(closed(ring));
  if (map) {
    const lons = ring.map((at) => at[0]),
      lats = ring.map((at) => at[1]);
    map.fitBounds([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)], { padding: 60, maxZoom: 16 });
  }
  setArea(
    map && !shown ? { type: "region", geo: { type: "Polygon", coordinates: [closed(ring)] }, from } : { type: "outline", ring, from },
  );
}

/** @param {any} geo a Polygon or MultiPolygon @param {string} [from] where it was pasted or chosen */
function useRegion(geo, from) {
  tools?.clear();
  const box = maps?.boxOf(geo);
  if (map && box) map.fitBounds(box, { padding: 60, maxZoom: 16 });
  setArea({ type: "region", geo, from });
}

/** A typed box can be dragged like a drawn one; other forms stay as they came. @param {any} geo @param {string} from */
function useArea(geo, from) {
  if (from === "typed-error") useOutline(geo.coordinates[0].slice(0, -1), from);
  else useRegion(geo, from);
}

/** Make the area the squares in which it can buy something: the same for the same price. */
async function snap() {
  const found = await post("/estimates", { ...wanted(), list_squares: true });
  if (!found.on_offer.length) return;
  tools?.clear();
  keep();
  change({ area: { type: "tiles", keys: found.on_offer }, dropped: [], leave: false, done: true });
}

let asks = 0;

/** Ask about each tile: hatch what is refused on the map, and fill the list when it is open. @param {any} answer an estimate or null */
async function fillList(answer) {
  const mine = ++asks,
    body = answer && wanted(),
    isOpen = one("#tile-list").open;
  if (!body || (!isOpen && !answer.refusals.length)) return hatchRefused(maps, map, []);
  try {
    const found = await tilesOf(body);
    if (mine !== asks) return; // a newer question is on its way
    hatchRefused(maps, map, found.rows);
    if (isOpen) showTiles(one("#tile-list .scroll"), found, new Set(state.dropped), takeTile);
  } catch (error) {
    one("#tile-list .scroll").replaceChildren(make("p.error", sentence(error)));
  }
}

/** @param {string} key @param {boolean} isIn */
function takeTile(key, isIn) {
  keep();
  if (state.area?.type === "tiles" && !isIn && state.area.keys.length === 1) return setArea(null);
  change({ dropped: isIn ? state.dropped.filter((one_) => one_ !== key) : [...state.dropped, key], done: true });
}

/** Take back the last corner while drawing, else the last change of the area. */
function undoLast() {
  if (tools?.undo()) return;
  const before = undo();
  if (!before) return;
  tools?.clear();
  if (before.area?.type === "outline") tools?.show(closed(before.area.ring));
  change({ ...before, done: true });
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

/** On a low window the tools are below the map: what is drawn on comes back into sight. */
function showMap() {
  const { top, bottom } = one("#map").getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) one("#map").scrollIntoView({ block: "nearest" });
}

function showTool(/** @type {string} */ tool) {
  for (const button of all("[data-tool]"))
    if (button.dataset.tool !== "clear") button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  const hints = {
    polygon: _("Click corner after corner; Enter or a click on the first corner finishes, Esc cancels."),
    rectangle: _("Click one corner, then the opposite one."),
    tiles: _("Click tiles to add or remove them."),
  };
  one("#tool-hint").textContent =
    /** @type {any} */ (hints)[tool] ?? _("Choose a tool, then click on the map. Corners can be dragged; the price follows.");
}

/** @param {string} key */
function toggleTile(key) {
  const tiles = areaTiles();
  if (state.area && state.area.type !== "tiles") {
    if (!tiles || tiles.includes(key)) return takeTile(key, state.dropped.includes(key));
    tools.clear(); // a tile outside the outline: from here on the area is tiles
  }
  const keys = new Set((tiles ?? []).filter((one_) => !state.dropped.includes(one_)));
  if (!keys.delete(key)) keys.add(key);
  setArea(keys.size ? { type: "tiles", keys: [...keys].sort() } : null);
}

function wireControls() {
  for (const button of all("[data-tool]")) {
    button.addEventListener("click", () => {
      choose(button.dataset.tool);
      showMap();
    });
  }
  for (const box of all("[name=kind]")) {
    box.checked = state.kinds.includes(box.value);
    box.addEventListener("change", () => {
      const chosen = all("[name=kind]:checked").map((/** @type {any} */ on) => on.value);
      if (!chosen.length) return (box.checked = true);
      change({ kinds: chosen });
    });
  }
  const purpose = one("#purpose");
  purpose.value = state.purpose;
  purpose.addEventListener("change", () => {
    purpose.removeAttribute("aria-invalid");
    showText(one("#purpose-problem"), "");
    change({ purpose: purpose.value });
  });
  wireAreas(useArea, refuseArea);
  const usePlace = (/** @type {any} */ place) =>
    outlineOf(place)
      .then((/** @type {any} */ geo) => useRegion(geo))
      .catch((/** @type {any} */ error) => refuseArea(error));
  placeSearch(one("[data-places]"), () => map, { label: _("Use as area"), fits: hasOutline, act: usePlace });
  wireKeys({ choose, undo: undoLast, pan: (step) => map?.panBy(step), cancel: () => tools?.tool() && choose(tools.tool()) });
  one("#undo").addEventListener("click", undoLast);
  for (const link of all("header [data-login]")) link.href = LOGIN;
  document.addEventListener(
    "click",
    (/** @type {any} */ event) => event.target.closest?.("[data-language], [data-login]") && keepUnfinished(),
    { capture: true },
  );
  one("#price").addEventListener("click", (/** @type {any} */ event) => {
    if (event.target.id === "example") example();
    if (event.target.id === "leave-barely") change({ leave: !state.leave });
    if (event.target.id === "snap") snap().catch((error) => refuseArea(error));
  });
  one("#tile-list").addEventListener("toggle", (/** @type {any} */ event) => event.target.open && price());
  document.addEventListener("click", (/** @type {any} */ event) => {
    const box = event.target.closest?.("[data-box]")?.dataset.box;
    if (box) map?.fitBounds(box.split(",").map(Number), { padding: 60, maxZoom: 15 });
  });
  addEventListener("pagehide", () => keepDraft(unfinished()));
}

/** What is half drawn goes into the address: the other language and signing in are other pages. */
function keepUnfinished() {
  const ring = unfinished();
  if (ring) setArea({ type: "outline", ring });
}

/** The outline that is being drawn, without the corner that follows the mouse; null when it is no area yet. */
function unfinished() {
  if (state.done || state.area?.type !== "outline") return null;
  const ring = tools.tool() === "polygon" ? state.area.ring.slice(0, -1) : state.area.ring;
  return new Set(ring.map(String)).size >= 3 ? ring : null;
}

// ---- start ----------------------------------------------------------------------------------------------------------------------

/** @param {number[] | null} view */
async function openMap(view) {
  maps = await import("../map/map.js");
  if (!maps.canDraw()) throw new Error("no WebGL 2");
  const last = view ?? (page.named ? null : ownView());
  const options = last
    ? { zoom: last[0], center: [last[2], last[1]] }
    : page.bounds
      ? { bounds: page.bounds, fitBoundsOptions: { padding: 40, maxZoom: 14 } }
      : {};
  const made = await maps.createMap(one("#map"), options);
  const { coverage, colourControl, WAYS } = await import("../map/coverage.js");
  if (!WAYS.includes(state.by)) state.by = WAYS[0];
  const explain = colourControl(one("#by"), one("#legend"), { by: state.by, kinds: state.kinds, choose: (by) => change({ by }) });
  const squares = coverage(made, { kinds: state.kinds, by: state.by, busy: () => Boolean(tools?.tool()) });
  const { showKinds } = await import("../map/lines.js");
  showKinds(made, state.kinds);
  recolour = (kinds, by) => (squares(kinds, by), showKinds(made, kinds), explain(by, kinds));
  addMarks(maps, made);
  map = made;
  const { drawing } = await import("../map/draw.js");
  tools = drawing(made, {
    onOutline: (ring, done) => setArea({ type: "outline", ring: ring.slice(0, -1) }, done),
    onTile: toggleTile,
    onTool: showTool,
  });
  made.on("moveend", () => (remember(map), keepView(map)));
}

async function start() {
  const { view, area, dropped } = remembered();
  wireControls();
  try {
    await openMap(view);
  } catch (error) {
    if (maps?.canDraw() !== false) console.error(error); // a browser without WebGL 2 is no failure, everything else is
    document.documentElement.dataset.map = "none";
    showText(
      one("#map-note"),
      page.hasVendor
        ? _("This browser cannot draw the map. Type a box instead: price and list work the same.")
        : _("The map files are missing; on the server, run: python hatch_build.py"),
    );
    one("#typed").open = true;
  }
  const kept = draft();
  const shown = kept ? /** @type {import("./state.js").Area} */ ({ type: "outline", ring: kept }) : area;
  if (shown?.type === "outline") tools?.show(closed(shown.ring));
  change({ area: shown, dropped: kept ? [] : dropped, done: true });
  document.documentElement.dataset.ready = "yes";
}

start();
