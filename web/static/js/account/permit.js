// @ts-check
// Areas of permits on a map: shown to those they name, drawn by the operator.
import { all, one } from "../base/dom.js";
import { areaOf } from "../base/form.js";
import { polygonsOf } from "../map/grid.js";
import { _, n_, page, sentence } from "../base/i18n.js";
import { boxOf, canDraw, collection, createMap, ink, showOn } from "../map/map.js";
import { hasOutline, outlineOf, placeSearch } from "../map/places.js";

const ONE_PERMIT = { padding: 30, maxZoom: 14, duration: 0 };

/** The own permits, and one of them on a click. @param {HTMLElement} container */
async function show(container) {
  const features = page.permits.map((/** @type {any} */ one) => ({ type: "Feature", properties: {}, geometry: one.area }));
  const everything = collection(features);
  const map = await showOn(container, everything, boxOf(everything));
  if (!map) return void container.parentElement?.remove();
  for (const button of all("[data-show]")) {
    button.addEventListener("click", () => {
      const found = page.permits.find((/** @type {any} */ one) => one.number === button.dataset.show);
      map.fitBounds(boxOf(found.area), ONE_PERMIT);
      container.scrollIntoView({ block: "nearest" });
    });
  }
}

/** Drawing writes GeoJSON into the field; what is pasted there is shown. @param {HTMLElement} container */
async function drawInto(container) {
  const field = one("textarea[name=area]"),
    corners = one("#drawn"),
    tools = all("[data-tool]");
  /** @type {any} */
  let map = null;
  const write = (/** @type {any} */ geo) => ((field.value = JSON.stringify(geo)), field.dispatchEvent(new Event("input")));
  const usePlace = (/** @type {any} */ place) =>
    outlineOf(place)
      .then(write)
      .catch((error) => (corners.textContent = sentence(error)));
  placeSearch(one("[data-places]"), () => map, { label: _("Use as area"), fits: hasOutline, act: usePlace });
  if (!canDraw()) {
    container.parentElement?.remove();
    for (const button of [...tools, one("#clear")]) button.hidden = true;
    return;
  }
  const [{ drawing }, { WAYS, coverage }] = await Promise.all([import("../map/draw.js"), import("../map/coverage.js")]);
  map = await createMap(container, page.bounds ? { bounds: page.bounds, fitBoundsOptions: { padding: 60, maxZoom: 13 } } : {});
  coverage(map, { kinds: page.kinds, by: WAYS[0], busy: () => Boolean(tool.tool()) }); // where there is something to be permitted
  map.addSource("pasted", { type: "geojson", data: collection([]) });
  map.addLayer({ id: "pasted", type: "line", source: "pasted", paint: { "line-color": ink("mark"), "line-width": 2 } });
  /** @param {any} geometry */
  const paste = (geometry) => map.getSource("pasted").setData(geometry ? { type: "Feature", properties: {}, geometry } : collection([]));
  const tool = drawing(map, {
    onOutline: (ring) => {
      if (ring.length < 4) return;
      const rounded = ring.map(([lon, lat]) => [Number(lon.toFixed(6)), Number(lat.toFixed(6))]);
      field.value = JSON.stringify({ type: "Polygon", coordinates: [rounded] });
      corners.textContent = n_("%(count)s corner", "%(count)s corners", new Set(rounded.slice(0, -1).map(String)).size);
      paste(null);
    },
    onTile: () => {},
    onTool: (chosen) => tools.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.tool === chosen))),
  });
  for (const button of tools)
    button.addEventListener("click", () => tool.choose(tool.tool() === button.dataset.tool ? "" : button.dataset.tool));
  one("#clear").addEventListener("click", () => {
    tool.clear();
    paste(null);
    field.value = corners.textContent = "";
  });
  field.addEventListener("input", () => {
    tool.clear();
    corners.textContent = "";
    try {
      const area = areaOf(field.value);
      const polygons = polygonsOf(area),
        box = boxOf(area);
      paste({ type: "MultiPolygon", coordinates: polygons });
      if (box) map.fitBounds(box, { padding: 60, maxZoom: 15, duration: 0 });
    } catch {
      paste(null); // half typed: the server says what is wrong when it is sent
    }
  });
  map.on("moveend", () => (container.dataset.view = JSON.stringify(map.getBounds().toArray())));
  container.dataset.view = JSON.stringify(map.getBounds().toArray());
}

const areas = one("#areas"),
  canvas = one("#map");
if (areas) show(areas);
if (canvas) drawInto(canvas);
