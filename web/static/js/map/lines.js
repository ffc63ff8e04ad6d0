// @ts-check
// Published lines: that there are lanes and footways, generalised so far that they cannot be used. On every map, for everybody.
import { belowNames, ink } from "./ground.js";

/** Zoom of the tiles; the lines are seen from there on. */
const TILES = 14;

/** Add the lines to a map. @param {any} map @param {string} [tiles] those of one dataset, instead of all */
export function published(map, tiles = "/map/teaser/{z}/{x}/{y}.mvt") {
  map.addSource("teaser", { type: "vector", tiles: [location.origin + tiles], minzoom: TILES, maxzoom: TILES });
  const from = { source: "teaser", "source-layer": "teaser", minzoom: TILES };
  const round = { "line-cap": "round", "line-join": "round" };
  const wide = (/** @type {number} */ more) => ["interpolate", ["linear"], ["zoom"], 14, 1 + more, 17, 3 + more];
  const under = { "line-color": ink("halo"), "line-opacity": 0.7, "line-width": wide(2) };
  map.addLayer({ id: "teaser-under", type: "line", ...from, layout: round, paint: under }, belowNames(map));
  const colour = ["match", ["get", "kind"], "sidewalk", ink("sidewalk"), ink("hdmap")];
  map.addLayer(
    { id: "teaser", type: "line", ...from, layout: round, paint: { "line-color": colour, "line-width": wide(0) } },
    belowNames(map),
  );
}

/** Show the lines of these kinds alone. @param {any} map @param {string[]} kinds */
export function showKinds(map, kinds) {
  for (const layer of ["teaser-under", "teaser"]) map.setFilter(layer, ["in", ["get", "kind"], ["literal", kinds]]);
}

/** Where a layer belongs that the lines are to stand above. @param {any} map @returns {string | undefined} */
export const belowLines = (map) => (map.getLayer("teaser-under") ? "teaser-under" : undefined);
