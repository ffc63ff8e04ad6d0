// @ts-check
// Teaser lines: that there are lanes and footways, generalised so far that they cannot be used. Only for those who are signed in.

/** Zoom of the tiles; the lines are seen from there on. */
const TILES = 14;

/** @param {any} map @param {string[]} kinds chosen @returns {(kinds: string[]) => void} shows other kinds */
export function teaser(map, kinds) {
  map.addSource("teaser", { type: "vector", tiles: [`${location.origin}/map/teaser/{z}/{x}/{y}.mvt`], minzoom: TILES, maxzoom: TILES });
  const from = { source: "teaser", "source-layer": "teaser", minzoom: TILES };
  const round = { "line-cap": "round", "line-join": "round" };
  const wide = (/** @type {number} */ more) => ["interpolate", ["linear"], ["zoom"], 14, 1 + more, 17, 3 + more];
  map.addLayer({
    id: "teaser-under",
    type: "line",
    ...from,
    layout: round,
    paint: { "line-color": "#0a1420", "line-opacity": 0.7, "line-width": wide(2) },
  });
  map.addLayer({
    id: "teaser",
    type: "line",
    ...from,
    layout: round,
    paint: { "line-color": ["match", ["get", "kind"], "sidewalk", "#fff06a", "#4d9bff"], "line-width": wide(0) },
  });
  /** @param {string[]} kinds */
  const show = (kinds) => {
    for (const layer of ["teaser-under", "teaser"]) map.setFilter(layer, ["in", ["get", "kind"], ["literal", kinds]]);
  };
  show(kinds);
  return show;
}
