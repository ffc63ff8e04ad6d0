// @ts-check
// Samples on the map of a dataset: the free tile of each layer, and its features, which say what they carry when they are clicked or chosen
// from a list. Everywhere else there are public lines only, which say no more than what they are of.
import { get } from "../base/api.js";
import { make, one, showText } from "../base/dom.js";
import { _, n_, page, sentence, word } from "../base/i18n.js";
import { collection, ink } from "../map/map.js";
import { squareOf } from "./outline.js";

/** Features in the list: more are no list. */
const MOST_LISTED = 300;

/** @param {any} map @param {any[]} samples */
export async function showSamples(map, samples) {
  outline(map, samples);
  one("#sample-go").addEventListener("click", () => fly(map, samples[0].box));
  if (!page.signedIn) return;
  const drawn = samples.filter((sample) => sample.features);
  if (!drawn.length) return;
  try {
    const found = await Promise.all(drawn.map((sample) => get(sample.features)));
    const features = found.flatMap((one, at) =>
      one.features.map((/** @type {any} */ feature) => ({ ...feature, properties: { ...feature.properties, layer: drawn[at].kind } })),
    );
    features.forEach((feature, at) => (feature.id = at + 1));
    draw(map, features);
    list(map, features);
  } catch (error) {
    showText(one("#map-note"), sentence(error));
  }
}

/** @param {any} map @param {number[]} box */
const fly = (map, [west, south, east, north]) =>
  map.fitBounds(
    [
      [west, south],
      [east, north],
    ],
    { padding: 30 },
  );

/** The edges of the sample tiles. @param {any} map @param {any[]} samples */
function outline(map, samples) {
  const squares = samples.map((sample) => squareOf(sample.box));
  map.addSource("sample-tile", { type: "geojson", data: collection(squares) });
  map.addLayer({
    id: "sample-tile",
    type: "line",
    source: "sample-tile",
    paint: { "line-color": ink("mark"), "line-width": 2, "line-dasharray": [2, 1.5] },
  });
}

/** @param {any} map @param {any[]} features */
function draw(map, features) {
  map.addSource("sample", { type: "geojson", data: collection(features) });
  map.addSource("sample-chosen", { type: "geojson", data: collection([]) });
  const colour = ["match", ["get", "layer"], "sidewalk", ink("sidewalk"), ink("hdmap")];
  const line = { "line-color": colour, "line-width": ["interpolate", ["linear"], ["zoom"], 14, 1, 18, 3] };
  const isArea = ["==", ["geometry-type"], "Polygon"];
  const isPoint = ["==", ["geometry-type"], "Point"];
  map.addLayer({
    id: "sample-area",
    type: "fill",
    source: "sample",
    filter: isArea,
    paint: { "fill-color": colour, "fill-opacity": 0.25 },
  });
  map.addLayer({ id: "sample-line", type: "line", source: "sample", paint: line });
  const dot = { "circle-color": colour, "circle-radius": ["interpolate", ["linear"], ["zoom"], 14, 1.5, 18, 5] };
  map.addLayer({ id: "sample-point", type: "circle", source: "sample", filter: isPoint, paint: dot });
  map.addLayer({ id: "chosen-line", type: "line", source: "sample-chosen", paint: { "line-color": ink("mark"), "line-width": 5 } });
  const ring = { "circle-color": ink("mark"), "circle-radius": 8 };
  map.addLayer({ id: "chosen-point", type: "circle", source: "sample-chosen", filter: isPoint, paint: ring });
  const layers = ["sample-point", "sample-line", "sample-area"];
  map.on("click", (/** @type {any} */ event) => {
    const { x, y } = event.point;
    const near = /** @type {any} */ ([
      [x - 6, y - 6],
      [x + 6, y + 6],
    ]);
    const [found] = map.queryRenderedFeatures(near, { layers });
    if (found) return choose(map, features[found.id - 1]);
    const [line] = map.queryRenderedFeatures(near, { layers: ["teaser"] });
    if (line) showPublic(line.properties.kind);
  });
  for (const layer of layers) {
    map.on("mouseenter", layer, () => (map.getCanvas().style.cursor = "pointer"));
    map.on("mouseleave", layer, () => (map.getCanvas().style.cursor = ""));
  }
}

/** The features as a list to choose from. @param {any} map @param {any[]} features */
function list(map, features) {
  const choice = one("#feature-choice");
  const listed = features.slice(0, MOST_LISTED);
  choice.append(
    ...listed.map((one) => make("option", { value: one.id }, `${word("features", one.properties.kind)} · ${one.properties.id}`)),
  );
  choice.addEventListener("change", () => {
    const feature = features[Number(choice.value) - 1];
    if (feature) choose(map, feature);
  });
  showText(one("#feature-count"), n_("%(count)s feature in the sample", "%(count)s features in the sample", features.length));
  one("#inspect").hidden = false;
}

/** Show what a feature carries. @param {any} map @param {any} feature */
function choose(map, feature) {
  map.getSource("sample-chosen").setData(collection([feature]));
  const { id, kind, properties } = feature.properties;
  const choice = one("#feature-choice");
  choice.value = String(feature.id);
  const rows = Object.entries(JSON.parse(properties)).map(([name, value]) =>
    make("tr", make("th", { scope: "row" }, make("bdi", name)), make("td", { dir: "auto" }, shown(value))),
  );
  one("#feature").replaceChildren(
    make("h3", make(`span.swatch.${feature.properties.layer}`, { "aria-hidden": "true" }), word("features", kind)),
    make("p.small.muted", make("code", id)),
    rows.length ? make("table.attributes", make("tbody", rows)) : make("p.muted", _("It carries no attributes.")),
  );
}

/** Say what a public line is of, and no more. @param {string} kind */
function showPublic(kind) {
  one("#feature").replaceChildren(
    make("h3", make(`span.swatch.${kind}`, { "aria-hidden": "true" }), word("kinds", kind)),
    make("p.muted", _("Here only rough lines are public. Exact geometry and attributes come with the data; the sample tile shows them.")),
  );
}

/** @param {any} value */
const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
