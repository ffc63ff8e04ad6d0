// @ts-check
// What is below every map: sea, land, the divisions of Korea with their names, and streets where the operator has a file of them.
// Light or dark as the page is, at once when that changes. Everything comes from this exchange, fonts too.
import * as maplibregl from "maplibre-gl";
import { page } from "../base/i18n.js";

/** Colours in the dark and in the light; a layer of ours takes one by `ink`, and changes with the theme. */
const PALETTE = {
  sea: ["#0a1420", "#cddfee"],
  land: ["#1a2636", "#f0f2ef"],
  coast: ["#3f5f82", "#8fa9c2"],
  border: ["#5b7390", "#8a8f99"],
  name: ["#a9bbd0", "#4a5a6e"],
  halo: ["#0a1420", "#ffffff"],
  street: ["#35475e", "#ffffff"],
  avenue: ["#506883", "#ffffff"],
  casing: ["#121b27", "#c3ccd6"],
  house: ["#2b3b51", "#d8dce0"],
  mark: ["#ffffff", "#142031"],
  edge: ["#8fb2d6", "#2a5f96"],
  hdmap: ["#4d9bff", "#1667c9"],
  sidewalk: ["#fff06a", "#a67c00"],
};
/** Levels of `mosaic.py`: sido, sigungu, eup-myeon-dong, ri, and the coast. */
const COAST = 4;
/** From and to which zoom the names of a level are shown, and how large. */
const NAMES = [
  { id: "names-sido", from: 5, to: 9, size: 15 },
  { id: "names-sigungu", from: 8, to: 12.5, size: 13.5 },
  { id: "names-emd", from: 11, to: 24, size: 12.5 },
  { id: "names-ri", from: 13, to: 24, size: 11.5 },
];
/** A line of a level is seen from this zoom on. */
const LINES = [0, 7, 10, 12.5];
const FONT = "Nanum Gothic";
/** What of a flavour of `@protomaps/basemaps` takes which of our colours. @type {[RegExp, Colour][]} */
const STREETS = [
  [/label.*_halo$/, "halo"],
  [/^roads_label/, "name"],
  [/_casing/, "casing"],
  [/(^|_)(minor|link|other)/, "street"],
  [/(^|_)(major|highway)$/, "avenue"],
  [/^buildings$/, "house"],
  [/^earth$/, "land"],
  [/^water$/, "sea"],
];

/** @typedef {keyof typeof PALETTE} Colour */

/** A colour of the palette, for paint. @param {Colour} name @returns {any} */
export const ink = (name) => ["to-color", ["global-state", name]];

/** A colour of the palette as it is now. @param {Colour} name */
export const inkNow = (name) => PALETTE[name][Number(isLight())];

/** Where a layer belongs that names are to stand above. @param {any} map @returns {string | undefined} */
export const belowNames = (map) => NAMES.find(({ id }) => map.getLayer(id))?.id;

/** Layers of the operator's file; the style has more of them than an extract needs to hold. @type {Set<string> | null} */
let inFile = null;

const light = matchMedia("(prefers-color-scheme: light)");

function isLight() {
  const { theme } = document.documentElement.dataset;
  return theme === "light" || (theme !== "dark" && light.matches);
}

/** The style of the ground. @returns {Promise<any>} */
export async function ground() {
  const base = page.map.basemap;
  if (base && !new URL(base, location.href).pathname.endsWith(".pmtiles")) {
    const given = await fetch(base).then((answer) => answer.json());
    return { ...given, state: { ...given.state, ...palette() }, layers: [...given.layers] };
  }
  const { PMTiles, Protocol } = await import("pmtiles");
  const protocol = new Protocol({ metadata: true });
  maplibregl.addProtocol("pmtiles", protocol.tile);
  if (base && !inFile) {
    const file = new PMTiles(String(new URL(base, location.href)));
    protocol.add(file);
    const about = /** @type {any} */ (await file.getMetadata());
    inFile = new Set(about.vector_layers.map((/** @type {{id: string}} */ one) => one.id));
  }
  const streets = base ? await streetLayers() : [];
  return {
    version: 8,
    state: palette(),
    "font-faces": page.map.fonts && {
      [FONT]: [
        { url: page.map.fonts.latin, "unicode-range": ["U+0000-024F", "U+2000-206F"] },
        { url: page.map.fonts.korean, "unicode-range": ["U+1100-11FF", "U+3000-318F", "U+AC00-D7A3"] },
      ],
    },
    sources: {
      ...(page.map.korea && { world: source(page.map.world), korea: source(page.map.korea) }),
      ...(base && { base: source(base) }),
    },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": ink("sea") } },
      ...(page.map.korea ? ["world", "korea"].map(land) : []),
      ...streets.filter((layer) => layer.type !== "symbol"),
      ...(page.map.korea ? [coast("world"), coast("korea"), ...LINES.map(border)] : []),
      ...streets.filter((layer) => layer.type === "symbol"),
      ...(page.map.korea ? NAMES.map(names) : []),
    ],
  };
}

/** Keep a map's colours those of the page. @param {any} map */
export function followTheme(map) {
  const repaint = async () => {
    for (const [name, { default: colour }] of Object.entries(palette())) map.setGlobalStateProperty(name, colour);
    if (!map.getSource("base") || !map.getLayer("names-sido")) return;
    for (const { id, paint } of await streetLayers())
      for (const [name, value] of Object.entries(paint ?? {})) map.setPaintProperty(id, name, value);
  };
  const watch = new MutationObserver(repaint);
  watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  light.addEventListener("change", repaint);
  map.on("remove", () => (watch.disconnect(), light.removeEventListener("change", repaint)));
}

/** @returns {Record<string, {default: string}>} */
const palette = () => Object.fromEntries(Object.keys(PALETTE).map((name) => [name, { default: inkNow(/** @type {Colour} */ (name)) }]));

/** @param {string} address */
const source = (address) => ({ type: "vector", url: `pmtiles://${new URL(address, location.href)}` });

/** @param {string} from */
const land = (from) => ({ id: `${from}-land`, type: "fill", source: from, "source-layer": "land", paint: { "fill-color": ink("land") } });

/** @param {string} from */
const coast = (from) => ({
  id: `${from}-coast`,
  type: "line",
  source: from,
  "source-layer": "lines",
  filter: ["==", ["get", "level"], COAST],
  paint: { "line-color": ink("coast"), "line-width": 1 },
});

/** The lines of a level. @param {number} minzoom @param {number} level */
const border = (minzoom, level) => ({
  id: `lines-${level}`,
  type: "line",
  source: "korea",
  "source-layer": "lines",
  minzoom,
  filter: ["==", ["get", "level"], level],
  layout: { "line-join": "round" },
  paint: {
    "line-color": ink("border"),
    "line-width": ["interpolate", ["linear"], ["zoom"], 6, 1.2 - level * 0.2, 16, 2.6 - level * 0.5],
    "line-opacity": 0.9 - level * 0.15,
    ...(level > 1 ? { "line-dasharray": level === 2 ? [4, 2] : [1, 2] } : {}),
  },
});

/** The names of a level: Korean on Korean pages; on others as they are pronounced, and below as they are written.
 * @param {(typeof NAMES)[number]} one @param {number} level */
const names = ({ id, from, to, size }, level) => ({
  id,
  type: "symbol",
  source: "korea",
  "source-layer": "names",
  minzoom: from,
  maxzoom: to,
  filter: ["==", ["get", "level"], level],
  layout: {
    "text-field": page.language === "ko" ? ["get", "ko"] : ["format", ["get", "en"], {}, "\n", {}, ["get", "ko"], { "font-scale": 0.85 }],
    "text-font": [FONT],
    "text-size": size,
    "text-max-width": 12,
    "text-padding": 6,
    "symbol-sort-key": ["-", ["get", "size"]],
  },
  paint: { "text-color": ink("name"), "text-halo-color": ink("halo"), "text-halo-width": 1.5 },
});

/** Layers of `@protomaps/basemaps` for the operator's file; without icons, which would need a sprite. @returns {Promise<any[]>} */
async function streetLayers() {
  const { layers, namedFlavor } = await import("@protomaps/basemaps");
  const flavor = { ...namedFlavor(isLight() ? "light" : "dark"), regular: FONT, bold: FONT, italic: FONT };
  const ours = Object.keys(flavor).flatMap((key) => {
    const found = STREETS.find(([pattern]) => pattern.test(key));
    return found ? [[key, inkNow(found[1])]] : [];
  });
  const drawn = /** @type {any[]} */ (layers("base", { ...flavor, ...Object.fromEntries(ours) }, { lang: page.language }));
  return drawn
    .filter((layer) => layer["source-layer"] !== "boundaries" && inFile?.has(layer["source-layer"]))
    .map(({ layout: { "icon-image": icon, ...layout } = /** @type {any} */ ({}), ...layer }) => ({
      ...layer,
      id: `base-${layer.id}`,
      layout,
      isIcon: icon !== undefined && !("text-field" in layout),
    }))
    .filter((layer) => !layer.isIcon)
    .map(({ isIcon: _, ...layer }) => layer);
}
