// @ts-check
// A map: the ground, what is published, the user's marks. Nothing is loaded from outside unless the operator set a basemap there.
import * as maplibregl from "maplibre-gl";
import { _, page } from "../base/i18n.js";
import { followTheme, ground, ink } from "./ground.js";
import { published } from "./lines.js";

/** Whether this browser can draw the map at all. */
export function canDraw() {
  try {
    return Boolean(page.hasVendor !== false && document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

/** A map in `container`, ready for layers. @param {HTMLElement} container @param {any} [options] of the map; `lines`: tiles of public lines
 * @returns {Promise<any>} */
export async function createMap(container, { lines, ...options } = {}) {
  const root = document.documentElement;
  root.dataset.map = "busy";
  const map = new maplibregl.Map({
    container,
    style: await ground(),
    center: [127.5, 36.5],
    zoom: 5.5,
    maxZoom: 20,
    dragRotate: false,
    pitchWithRotate: false,
    attributionControl: false,
    fadeDuration: 0,
    locale: { "Map.Title": _("Map"), "NavigationControl.ZoomIn": _("Zoom in"), "NavigationControl.ZoomOut": _("Zoom out") },
    ...options,
  });
  Object.assign(container, { map }); // for whoever looks at the page from outside: tests, the console
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 90 }), "top-left");
  map.addControl(new maplibregl.AttributionControl({ compact: false }), "bottom-right");
  map.on("idle", () => (root.dataset.map = "idle"));
  map.on("movestart", () => (root.dataset.map = "busy"));
  map.on("dataloading", () => (root.dataset.map = "busy"));
  await new Promise((resolve) => map.once("load", resolve));
  followTheme(map);
  published(map, lines);
  return map;
}

/** A GeoJSON source with an outline: the user's own marks. @param {any} map @param {string} name @param {number} fill */
export function addMarks(map, name, fill) {
  map.addSource(name, { type: "geojson", data: collection([]) });
  map.addLayer({
    id: `${name}-fill`,
    type: "fill",
    source: name,
    filter: ["==", ["geometry-type"], "Polygon"],
    paint: { "fill-color": ink("mark"), "fill-opacity": fill },
  });
  map.addLayer({ id: `${name}-line`, type: "line", source: name, paint: { "line-color": ink("mark"), "line-width": 1.4 } });
}

/** @param {any[]} features */
export const collection = (features) => ({ type: "FeatureCollection", features });

/** A small map that shows areas or cells, and points that can be gone to; null without WebGL.
 * @param {HTMLElement} container @param {any} data GeoJSON @param {[number, number, number, number] | null} box @returns {Promise<any>} */
export async function showOn(container, data, box) {
  if (!canDraw()) return null;
  const options = box ? { bounds: box, fitBoundsOptions: { padding: 30, maxZoom: 16 } } : {};
  const map = await createMap(container, options);
  addMarks(map, "shown", 0.16);
  map.getSource("shown").setData(data);
  return map;
}

/** West, south, east, north of a GeoJSON object, or null. @param {any} geo @returns {[number, number, number, number] | null} */
export function boxOf(geo) {
  const box = /** @type {[number, number, number, number]} */ ([Infinity, Infinity, -Infinity, -Infinity]);
  /** @param {any} at */
  const walk = (at) => {
    if (!at) return;
    if (typeof at[0] === "number") {
      [box[0], box[1], box[2], box[3]] = [
        Math.min(box[0], at[0]),
        Math.min(box[1], at[1]),
        Math.max(box[2], at[0]),
        Math.max(box[3], at[1]),
      ];
    } else if (Array.isArray(at)) at.forEach(walk);
    else [at.coordinates, at.geometry, at.features, at.geometries].forEach(walk);
  };
  walk(geo);
  return box[0] === Infinity ? null : box;
}

export { belowNames, ink } from "./ground.js";
export { maplibregl };
