// @ts-check
// Drawing tools: polygon and box by terra-draw (mouse and touch; Enter finishes, Esc cancels, corners can be dragged), tiles by click.
import { TerraDraw, TerraDrawModeUndoRedo, TerraDrawPolygonMode, TerraDrawRectangleMode, TerraDrawSelectMode } from "terra-draw";
import { TerraDrawMapLibreGLAdapter } from "terra-draw-maplibre-gl-adapter";
import { quadkey, xOf, yOf } from "./grid.js";
import { inkNow } from "./ground.js";

/** @typedef {`#${string}`} Hex */
const DOT = /** @type {const} */ ("#4cc2ff");
const MARK = () => /** @type {Hex} */ (inkNow("mark"));
const HALO = () => /** @type {Hex} */ (inkNow("halo"));
const LINE = { fillColor: MARK, fillOpacity: 0.05, outlineColor: MARK, outlineWidth: 2 };
const CORNERS = {
  selectedPolygonColor: MARK,
  selectedPolygonFillOpacity: 0.05,
  selectedPolygonOutlineColor: MARK,
  selectedPolygonOutlineWidth: 2,
  selectionPointColor: DOT,
  selectionPointWidth: 6,
  selectionPointOutlineColor: MARK,
  selectionPointOutlineWidth: 2,
  midPointColor: HALO,
  midPointWidth: 4,
  midPointOutlineColor: MARK,
  midPointOutlineWidth: 1,
};

/** The outline of a drawn polygon. @param {import("terra-draw").GeoJSONStoreFeatures} drawn */
const ring = (drawn) => /** @type {[number, number][]} */ (/** @type {import("geojson").Polygon} */ (drawn.geometry).coordinates[0]);

/** Tools on a map. `onOutline(ring, isFinished)` is called on each move; `onTile(quadkey)` on a click with the tile tool.
 * @param {any} map
 * @param {{onOutline: (ring: [number, number][], done: boolean) => void, onTile: (key: string) => void,
 *   onTool: (tool: string) => void}} events */
export function drawing(map, events) {
  const edit = { feature: { draggable: true, coordinates: { midpoints: true, draggable: true, deletable: true } } };
  const draw = new TerraDraw({
    adapter: new TerraDrawMapLibreGLAdapter({ map, prefixId: "draw" }),
    undoRedo: { modeLevel: new TerraDrawModeUndoRedo() },
    modes: [
      new TerraDrawPolygonMode({ styles: { ...LINE, closingPointColor: DOT, closingPointOutlineColor: MARK } }),
      new TerraDrawRectangleMode({ styles: LINE }),
      new TerraDrawSelectMode({ flags: { polygon: edit, rectangle: edit }, styles: CORNERS }),
    ],
  });
  draw.start();
  let tool = "";
  const outlines = () => draw.getSnapshot().filter((/** @type {any} */ one) => one.geometry.type === "Polygon");

  draw.on("change", (/** @type {any[]} */ ids, /** @type {string} */ type) => {
    const found = outlines();
    const newest = found.at(-1);
    if (type === "create" && newest && found.length > 1) draw.removeFeatures(found.slice(0, -1).map((/** @type {any} */ one) => one.id));
    if (newest && (type === "update" || type === "create")) events.onOutline(ring(newest), draw.getMode() === "select");
  });
  draw.on("finish", (/** @type {any} */ id) => {
    const made = draw.getSnapshotFeature(id);
    if (!made) return;
    events.onOutline(ring(made), true);
    if (draw.getMode() !== "select") {
      choose("");
      draw.selectFeature(id);
    }
  });
  map.on("click", (/** @type {any} */ event) => {
    if (tool === "tiles") events.onTile(quadkey(Math.floor(xOf(event.lngLat.lng)), Math.floor(yOf(event.lngLat.lat))));
  });

  /** @param {string} wanted polygon, rectangle, tiles, or "" */
  function choose(wanted) {
    tool = wanted;
    draw.setMode(wanted === "polygon" || wanted === "rectangle" ? wanted : "select");
    map.getCanvas().style.cursor = wanted === "tiles" ? "pointer" : "";
    // A double click ends a polygon; it must not zoom as well.
    map.doubleClickZoom[wanted ? "disable" : "enable"]();
    events.onTool(wanted);
  }

  return {
    choose,
    tool: () => tool,
    clear: () => draw.clear(),
    /** Take back the last corner; false when nothing is being drawn. */
    undo: () => draw.getMode() !== "select" && draw.canUndo() && draw.undo(),
    /** Show an outline that was typed or restored. @param {[number, number][]} ring */
    show(ring) {
      draw.clear();
      const rounded = ring.map(([lon, lat]) => [Math.round(lon * 1e9) / 1e9, Math.round(lat * 1e9) / 1e9]);
      const [made] = draw.addFeatures([
        { type: "Feature", properties: { mode: "polygon" }, geometry: { type: "Polygon", coordinates: [rounded] } },
      ]);
      if (made?.valid && made.id !== undefined) draw.selectFeature(made.id);
      return Boolean(made?.valid);
    },
  };
}
