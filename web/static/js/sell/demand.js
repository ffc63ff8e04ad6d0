// @ts-check
// What buyers asked for in vain: squares on a map, and the same as a list.
import { get, post } from "../base/api.js";
import { make, one } from "../base/dom.js";
import { densestBox, dots } from "../map/cluster.js";
import { square } from "../map/grid.js";
import { _, number, word } from "../base/i18n.js";
import { canDraw, collection, createMap } from "../map/map.js";
import { placeSearch } from "../map/places.js";

const SHADE = ["step", ["get", "count"], "#535a6c", 5, "#a59c74", 10, "#fde737"];
/** @type {{cells: {tile: string, kind: string, count: number}[]}} */
const found = await get("/demand");
const section = one("#demand");
section.hidden = !found.cells.length;
one("#no-demand").hidden = Boolean(found.cells.length);

/** Times asked by place, over all kinds. @type {Map<string, number>} */
const places = new Map();
for (const { tile, count } of found.cells) places.set(tile, (places.get(tile) ?? 0) + count);

const names = places.size ? (await post("/places/names", { tiles: [...places.keys()] })).names : [];
const nameOf = new Map(names.map((/** @type {any} */ one_) => [one_.tile, one_.name]));
const rows = found.cells.map(({ tile, kind, count }) =>
  make(
    "tr",
    make("td", nameOf.get(tile), make("br"), make("code.muted.small", tile)),
    make("td", kind === "any" ? _("any data") : word("kinds", kind)),
    make("td.n", number(count)),
  ),
);
one("tbody", section).replaceChildren(...rows);

if (places.size && canDraw()) {
  const squares = collection([...places].map(([tile, count]) => ({ ...square(tile), properties: { tile, count } })));
  const map = await createMap(one("#map"), { bounds: densestBox(squares.features), fitBoundsOptions: { padding: 40, maxZoom: 11 } });
  map.addSource("demand", { type: "geojson", data: squares });
  map.addLayer({
    id: "demand",
    type: "fill",
    source: "demand",
    paint: {
      "fill-color": SHADE,
      "fill-opacity": 0.7,
      "fill-outline-color": "#e8edf4",
    },
  });
  dots(map, "demand", squares.features, { colour: SHADE, below: 8.5 });
  placeSearch(one("[data-places]", section), () => map);
} else one(".minimap", section).hidden = one("[data-places]", section).hidden = true;
section.dataset.state = "shown";
document.documentElement.dataset.ready = "yes";
