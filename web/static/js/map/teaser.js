// @ts-check
// Teaser lines (see `tiles/features/teaser.py`) drawn on a plain canvas.

const INK = ["#4d9bff", "#fff06a", "#e595bd", "#7fd8a0"]; // lane, sidewalk, crossing, cycleway

/** @param {HTMLCanvasElement} canvas @param {string} url */
export async function drawLines(canvas, url) {
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const body = await answer.arrayBuffer();
  const count = new DataView(body).getUint32(8, true);
  const rows = await new Response(new Blob([body.slice(16)]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  const classes = new Uint8Array(rows, 0, count);
  const columns = [0, 1, 2, 3].map((k) => new Int32Array(rows.slice(count + 4 * count * k, count + 4 * count * (k + 1))));
  paint(canvas, classes, columns);
  canvas.dataset.lines = String(count);
}

/** @param {HTMLCanvasElement} canvas @param {Uint8Array} classes @param {Int32Array[]} columns x0, y0, x1, y1 */
function paint(canvas, classes, [x0, y0, x1, y1]) {
  const ratio = Math.min(devicePixelRatio, 2);
  const [wide, tall] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
  [canvas.width, canvas.height] = [wide, tall];
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.fillStyle = "#0a1420";
  pen.fillRect(0, 0, wide, tall);
  let [west, north, east, south] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < classes.length; i++) {
    ((west = Math.min(west, x0[i], x1[i])), (east = Math.max(east, x0[i], x1[i])));
    ((north = Math.min(north, y0[i], y1[i])), (south = Math.max(south, y0[i], y1[i])));
  }
  const scale = Math.min((wide - 24) / Math.max(1, east - west), (tall - 24) / Math.max(1, south - north));
  const x = (/** @type {number} */ at) => wide / 2 + (at - (west + east) / 2) * scale;
  const y = (/** @type {number} */ at) => tall / 2 + (at - (north + south) / 2) * scale;
  pen.lineWidth = 1.4 * ratio;
  pen.lineCap = "round";
  INK.forEach((ink, code) => {
    pen.strokeStyle = ink;
    pen.beginPath();
    for (let i = 0; i < classes.length; i++) if (classes[i] === code) (pen.moveTo(x(x0[i]), y(y0[i])), pen.lineTo(x(x1[i]), y(y1[i])));
    pen.stroke();
  });
}
