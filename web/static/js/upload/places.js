// @ts-check
// A small map of where files are or would be: boxes, or a mark where a box would be too small to see. Drawn only when it is needed.
import { _ } from "../base/i18n.js";

/** @typedef {[number, number, number, number]} Box */

export class PlaceMap {
  /** @param {HTMLElement} container */
  constructor(container) {
    this.container = container;
    /** @type {Promise<any> | null} */
    this.made = null;
    /** @type {((lon: number, lat: number) => void) | null} */
    this.onPick = null;
  }

  /** The map, or null where a browser cannot draw it. @returns {Promise<any>} */
  map() {
    this.made ??= this.make();
    return this.made;
  }

  async make() {
    const maps = await import("../map/map.js");
    if (!maps.canDraw()) return null;
    const map = await maps.createMap(this.container);
    addPlaces(map, maps.ink);
    map.on("click", (/** @type {any} */ event) => this.onPick?.(event.lngLat.lng, event.lngLat.lat));
    return map;
  }

  /** Show boxes and go there. @param {Box[]} boxes */
  async show(boxes) {
    if (!boxes.length && !this.made) return;
    const map = await this.map();
    if (!map) return;
    // Near enough to see the coast round it: a box alone on the dark says nothing about its place.
    const features = boxes.flatMap(([west, south, east, north]) => {
      const ring = [
        [west, south],
        [east, south],
        [east, north],
        [west, north],
        [west, south],
      ];
      const at = { type: "Feature", properties: {}, geometry: { type: "Point", coordinates: [(west + east) / 2, (south + north) / 2] } };
      return west === east && south === north
        ? [at]
        : [at, { type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [ring] } }];
    });
    map.getSource("places").setData({ type: "FeatureCollection", features });
    const [first, ...rest] = boxes;
    const both = (/** @type {Box} */ a, /** @type {Box} */ b) =>
      /** @type {Box} */ ([Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]);
    if (first) map.fitBounds(rest.reduce(both, first), { padding: 40, maxZoom: 9, animate: false });
    this.container.dataset.boxes = boxes.map((box) => box.map((value) => value.toFixed(5)).join(",")).join(";");
  }

  /** Let the next click on the map be an answer. @param {((lon: number, lat: number) => void) | null} pick */
  async picking(pick) {
    const map = await this.map();
    this.onPick = pick;
    if (map) map.getCanvas().style.cursor = pick ? "crosshair" : "";
    return Boolean(map);
  }
}

/** The source and layers of places. @param {any} map @param {typeof import("../map/map.js").ink} ink */
export function addPlaces(map, ink) {
  map.addSource("places", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
  const at = (/** @type {string} */ type) => ["==", ["geometry-type"], type];
  map.addLayer({
    id: "places-fill",
    type: "fill",
    source: "places",
    filter: at("Polygon"),
    paint: { "fill-color": ink("mark"), "fill-opacity": 0.18 },
  });
  map.addLayer({
    id: "places-line",
    type: "line",
    source: "places",
    filter: at("Polygon"),
    paint: { "line-color": ink("mark"), "line-width": 1.6 },
  });
  map.addLayer({
    id: "places-dot",
    type: "circle",
    source: "places",
    filter: at("Point"),
    paint: { "circle-radius": 4, "circle-color": ink("mark"), "circle-stroke-color": ink("halo"), "circle-stroke-width": 1.5 },
  });
}

/** @param {number} shown @param {number} all */
export const countOf = (shown, all) =>
  shown ? _("Files with a known place: %(shown)s of %(all)s.", { shown, all }) : _("The place of files that state it is shown here.");
