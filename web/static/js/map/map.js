// @ts-check
// The dark map: coast, an optional basemap, the user's marks. Nothing is loaded from outside unless the operator set a basemap there.
import * as maplibregl from "maplibre-gl";
import { _, page } from "../base/i18n.js";

const SEA = "#0a1420",
  LAND = "#111a26",
  ROAD = "#7088a8";

/** Whether this browser can draw the map at all. */
export function canDraw() {
  try {
    return Boolean(page.hasVendor !== false && document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

/** A map in `container`, ready for layers. @param {HTMLElement} container @param {any} [options] @returns {Promise<any>} */
export async function createMap(container, options = {}) {
  const root = document.documentElement;
  root.dataset.map = "busy";
  const map = new maplibregl.Map({
    container,
    style: await baseStyle(),
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
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 90 }), "bottom-left");
  map.addControl(new maplibregl.AttributionControl({ compact: false, customAttribution: "Natural Earth" }), "bottom-right");
  map.on("idle", () => (root.dataset.map = "idle"));
  map.on("movestart", () => (root.dataset.map = "busy"));
  map.on("dataloading", () => (root.dataset.map = "busy"));
  await new Promise((resolve) => map.once("load", resolve));
  addLand(map); // after the first picture: the coast must not hold up the map
  return map;
}

/** Style of everything below our own layers. @returns {Promise<any>} */
async function baseStyle() {
  const base = page.map.basemap;
  if (base && !base.endsWith(".pmtiles")) {
    const given = await fetch(base).then((answer) => answer.json());
    return { ...given, layers: [...given.layers] };
  }
  /** @type {any} */
  const style = { version: 8, sources: {}, layers: [{ id: "sea", type: "background", paint: { "background-color": SEA } }] };
  if (base) {
    const { Protocol } = await import("pmtiles");
    maplibregl.addProtocol("pmtiles", new Protocol().tile);
    style.sources.base = { type: "vector", url: `pmtiles://${new URL(base, location.href)}`, attribution: "© OpenStreetMap" };
    style.layers.push(
      { id: "base-earth", type: "fill", source: "base", "source-layer": "earth", paint: { "fill-color": LAND } },
      { id: "base-water", type: "fill", source: "base", "source-layer": "water", paint: { "fill-color": SEA } },
      {
        id: "base-roads",
        type: "line",
        source: "base",
        "source-layer": "roads",
        paint: { "line-color": ROAD, "line-opacity": 0.5, "line-width": ["interpolate", ["exponential", 1.5], ["zoom"], 8, 0.4, 18, 6] },
      },
    );
  }
  return style;
}

/** @param {any} map */
async function addLand(map) {
  if (!page.map.land || page.map.basemap) return;
  const topology = await fetch(page.map.land)
    .then((answer) => answer.json())
    .catch(() => null);
  if (!topology || !map.getStyle()) return; // the map was taken away meanwhile
  const first = map.getStyle().layers[1]?.id;
  map.addSource("land", { type: "geojson", data: decode(topology, topology.objects.land), tolerance: 0.2 });
  map.addLayer({ id: "land", type: "fill", source: "land", paint: { "fill-color": LAND } }, first);
  map.addLayer({ id: "coast", type: "line", source: "land", paint: { "line-color": "#26384f", "line-width": 1 } }, first);
}

/** GeoJSON of a TopoJSON object (delta-coded, quantised arcs). @param {any} topology @param {any} object @returns {any} */
export function decode(topology, object) {
  const { scale, translate } = topology.transform;
  const arcs = topology.arcs.map((/** @type {number[][]} */ arc) => {
    let [x, y] = [0, 0];
    return arc.map(([dx, dy]) => [(x += dx) * scale[0] + translate[0], (y += dy) * scale[1] + translate[1]]);
  });
  /** @param {number[]} ring */
  const line = (ring) => ring.flatMap((i, at) => (i < 0 ? [...arcs[~i]].reverse() : arcs[i]).slice(at ? 1 : 0));
  /** @param {any} geometry @returns {any} */
  const geometry = (geometry) => {
    if (geometry.type === "GeometryCollection")
      return {
        type: "FeatureCollection",
        features: geometry.geometries.map((/** @type {any} */ one) => ({ type: "Feature", properties: {}, geometry: toGeo(one) })),
      };
    return { type: "Feature", properties: {}, geometry: toGeo(geometry) };
  };
  /** @param {any} one */
  const toGeo = (one) => ({
    type: one.type,
    coordinates: one.type === "Polygon" ? one.arcs.map(line) : one.arcs.map((/** @type {any} */ polygon) => polygon.map(line)),
  });
  return geometry(object);
}

/** A GeoJSON source with a white outline: the user's own marks. @param {any} map @param {string} name @param {number} fill */
export function addMarks(map, name, fill) {
  map.addSource(name, { type: "geojson", data: collection([]) });
  map.addLayer({
    id: `${name}-fill`,
    type: "fill",
    source: name,
    filter: ["==", ["geometry-type"], "Polygon"],
    paint: { "fill-color": "#ffffff", "fill-opacity": fill },
  });
  map.addLayer({ id: `${name}-line`, type: "line", source: name, paint: { "line-color": "#ffffff", "line-width": 1.4 } });
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

export { maplibregl };
