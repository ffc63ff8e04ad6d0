// @ts-check
// A point cloud in WebGL 2, without a library: orbit by mouse, touch and keys, three colourings, eye-dome shading. While it is moved it
// draws as many points as fit a tenth of a second; when it is still, all. The points come shuffled, so any prefix is a fair picture.
import { orbit } from "./orbit.js";
import { EDGES, POINTS, WHOLE, program } from "./shaders.js";

const HEAD = 16,
  STRIDE = 10;
const FIRST = 250_000; // points that are fetched before the rest
const TARGET_MS = 100,
  STILL_MS = 180;

/** @typedef {"colour" | "height" | "intensity"} Mode */
/** @typedef {{setMode: (mode: Mode) => void, setEdges: (on: boolean) => void, reset: () => void,
 *   close: () => void, coloured: boolean, whole: Promise<void>}} Viewer */

/** Whether this browser can draw a cloud. */
export const canDrawCloud = () => Boolean(document.createElement("canvas").getContext("webgl2"));

/** Open the cloud at `url` on a canvas; resolves when the first points are drawn.
 * @param {HTMLCanvasElement} canvas @param {string} url @param {number} size bytes of all of it
 * @param {(shown: number, all: number) => void} onPoints @returns {Promise<Viewer>} */
export async function openCloud(canvas, url, size, onPoints) {
  const leaving = new AbortController();
  const started = performance.now();
  const first = await bytes(url, 0, Math.min(size, HEAD + FIRST * STRIDE), leaving.signal);
  const head = new DataView(first);
  if (head.getUint32(0) !== 0x4d584331) throw new Error("no cloud");
  const [all, step, coloured] = [head.getUint32(4, true), head.getFloat32(8, true), head.getUint32(12, true) === 1];
  const scene = sceneOf(canvas, all, step);
  let shown = scene.add(new Uint8Array(first, HEAD));
  const controls = orbit(canvas, scene.extent, () => wake());
  /** @type {Mode} */
  let mode = coloured ? "colour" : "height";
  let edges = true,
    budget = 60_000,
    moving = false,
    asked = 0,
    still = 0,
    closed = false;

  function paint() {
    asked = 0;
    if (closed) return;
    const count = moving ? Math.min(shown, budget) : shown;
    const spent = scene.draw(controls.view(canvas), count, mode, edges);
    if (moving) budget = Math.round(Math.min(Math.max(budget * Math.min(2, TARGET_MS / Math.max(spent, 1)), 20_000), all));
    canvas.dataset.drawn = String(count);
    canvas.dataset.state = moving ? "moving" : "still";
    canvas.dataset.view = controls.state();
  }
  const soon = () => (asked ||= requestAnimationFrame(paint));
  function wake() {
    moving = true;
    clearTimeout(still);
    still = setTimeout(() => ((moving = false), soon()), STILL_MS);
    soon();
  }
  const resized = new ResizeObserver(soon);
  resized.observe(canvas);
  paint();
  onPoints(shown, all);
  const whole = rest();

  async function rest() {
    if (HEAD + shown * STRIDE < size) {
      shown = scene.add(new Uint8Array(await bytes(url, HEAD + shown * STRIDE, size, leaving.signal)));
      paint();
      onPoints(shown, all);
    }
    canvas.dataset.wholeMs = String(Math.round(performance.now() - started));
    canvas.dataset.whole = "yes";
  }

  return {
    coloured,
    whole,
    setMode: (wanted) => ((mode = wanted), soon()),
    setEdges: (on) => ((edges = on), soon()),
    reset: () => (controls.reset(), soon()),
    close() {
      closed = true;
      leaving.abort();
      resized.disconnect();
      controls.close();
      scene.close();
    },
  };
}

/** @param {string} url @param {number} from @param {number} to @param {AbortSignal} signal @returns {Promise<ArrayBuffer>} */
async function bytes(url, from, to, signal) {
  const answer = await fetch(url, { headers: { Range: `bytes=${from}-${to - 1}` }, signal, credentials: "same-origin" });
  if (answer.status !== 206) throw new Error(`HTTP ${answer.status}`);
  return answer.arrayBuffer();
}

/** Buffers and programs. @param {HTMLCanvasElement} canvas @param {number} all points that will come @param {number} step metres */
function sceneOf(canvas, all, step) {
  const gl = /** @type {WebGL2RenderingContext} */ (canvas.getContext("webgl2", { antialias: false, alpha: false }));
  const points = program(gl, POINTS),
    edged = program(gl, EDGES);
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, all * STRIDE, gl.STATIC_DRAW);
  const cloud = gl.createVertexArray();
  gl.bindVertexArray(cloud);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.SHORT, false, STRIDE, 0);
  gl.enableVertexAttribArray(1);
  gl.vertexAttribPointer(1, 4, gl.UNSIGNED_BYTE, true, STRIDE, 6);
  const screen = gl.createVertexArray();
  const target = targetOf(gl);
  let filled = 0;
  const extent = {
    radius: 1,
    box: [
      [-1, 1],
      [-1, 1],
      [0, 1],
    ],
    low: 0,
    high: 1,
    spacing: 1,
  };

  /** Where the points reach, by the first ones that came. @param {Int16Array[]} columns */
  function measure([xs, ys, zs]) {
    const [x0, x1] = between(xs, 0.002),
      [y0, y1] = between(ys, 0.002),
      [z0, z1] = between(zs, 0.02);
    extent.radius = (Math.hypot(x1 - x0, y1 - y0) / 2) * step || 1;
    extent.box = [
      [x0, x1],
      [y0, y1],
      [z0, z1],
    ].map((ends) => ends.map((end) => end * step));
    [extent.low, extent.high] = [z0, Math.max(z1, z0 + 1)];
    extent.spacing = Math.sqrt(((x1 - x0) * (y1 - y0)) / all) * step || step;
  }

  return {
    extent,
    /** @param {Uint8Array} rows @returns {number} points that are there now */
    add(rows) {
      if (!filled) measure(columnsOf(rows));
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferSubData(gl.ARRAY_BUFFER, filled * STRIDE, rows);
      return (filled += Math.floor(rows.length / STRIDE));
    },
    /** @param {{matrix: Float32Array, focal: number, near: number, far: number}} view @param {number} count @param {Mode} mode
     * @param {boolean} edges
     * @returns {number} milliseconds that it took, drawn to the end */
    draw(view, count, mode, edges) {
      const began = performance.now();
      const [wide, tall] = fit(canvas);
      target.fit(wide, tall);
      gl.bindFramebuffer(gl.FRAMEBUFFER, edges ? target.frame : null);
      gl.viewport(0, 0, wide, tall);
      gl.enable(gl.DEPTH_TEST);
      gl.clearColor(0.04, 0.08, 0.125, 1);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.useProgram(points.made);
      gl.uniformMatrix4fv(points.at("view"), false, view.matrix);
      gl.uniform1f(points.at("step"), step);
      gl.uniform1f(points.at("size"), extent.spacing * Math.sqrt(all / count) * view.focal * tall * 0.7);
      gl.uniform2f(points.at("heights"), extent.low, extent.high);
      gl.uniform1i(points.at("mode"), mode === "colour" ? 0 : mode === "height" ? 1 : 2);
      gl.bindVertexArray(cloud);
      gl.drawArrays(gl.POINTS, 0, count);
      if (edges) {
        gl.bindFramebuffer(gl.FRAMEBUFFER, null);
        gl.disable(gl.DEPTH_TEST);
        gl.useProgram(edged.made);
        target.bind();
        gl.uniform1i(edged.at("colours"), 0);
        gl.uniform1i(edged.at("depths"), 1);
        gl.uniform2f(edged.at("range"), view.near, view.far);
        gl.bindVertexArray(screen);
        gl.drawArrays(gl.TRIANGLES, 0, WHOLE);
      }
      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)); // waits until it is drawn
      return performance.now() - began;
    },
    close: () => gl.getExtension("WEBGL_lose_context")?.loseContext(),
  };
}

/** The picture and its depths, as textures of the size of the canvas. @param {WebGL2RenderingContext} gl */
function targetOf(gl) {
  const frame = gl.createFramebuffer(),
    colours = gl.createTexture(),
    depths = gl.createTexture();
  let [wide, tall] = [0, 0];
  return {
    frame,
    bind() {
      (gl.activeTexture(gl.TEXTURE0), gl.bindTexture(gl.TEXTURE_2D, colours));
      (gl.activeTexture(gl.TEXTURE1), gl.bindTexture(gl.TEXTURE_2D, depths));
    },
    /** @param {number} w @param {number} h */
    fit(w, h) {
      if (w === wide && h === tall) return;
      [wide, tall] = [w, h];
      gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
      for (const [texture, inner, format, type, place] of /** @type {const} */ ([
        [colours, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, gl.COLOR_ATTACHMENT0],
        [depths, gl.DEPTH_COMPONENT24, gl.DEPTH_COMPONENT, gl.UNSIGNED_INT, gl.DEPTH_ATTACHMENT],
      ])) {
        gl.bindTexture(gl.TEXTURE_2D, texture);
        gl.texImage2D(gl.TEXTURE_2D, 0, inner, w, h, 0, format, type, null);
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
        gl.framebufferTexture2D(gl.FRAMEBUFFER, place, gl.TEXTURE_2D, texture, 0);
      }
    },
  };
}

/** Pixels of a canvas as large as it is shown. @param {HTMLCanvasElement} canvas @returns {[number, number]} */
function fit(canvas) {
  const ratio = Math.min(devicePixelRatio, 2);
  const [wide, tall] = [Math.max(1, Math.round(canvas.clientWidth * ratio)), Math.max(1, Math.round(canvas.clientHeight * ratio))];
  if (canvas.width !== wide || canvas.height !== tall) [canvas.width, canvas.height] = [wide, tall];
  return [wide, tall];
}

/** x, y and z of some thousand points. @param {Uint8Array} rows @returns {Int16Array[]} */
function columnsOf(rows) {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  const count = Math.min(20_000, Math.floor(rows.length / STRIDE));
  return [0, 2, 4].map((at) => Int16Array.from({ length: count }, (_none, i) => view.getInt16(i * STRIDE + at, true)).sort());
}

/** Values between which all but a share at each end are. @param {Int16Array} sorted @param {number} share @returns {[number, number]} */
const between = (sorted, share) => [sorted[Math.floor(share * (sorted.length - 1))], sorted[Math.ceil((1 - share) * (sorted.length - 1))]];
