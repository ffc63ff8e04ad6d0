// @ts-check
// A camera that circles a point: by mouse (drag turns, with Shift or the other button it moves, wheel comes nearer), by one and two
// fingers, and by keys (arrows turn, with Shift they move, + and - come nearer, 0 goes back).

const FOCAL = 1.6; // of half the height of the picture
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @param {HTMLElement} element @param {{radius: number, box: number[][]}} extent metres; ends of the box by axis
 * @param {() => void} onMove */
export function orbit(element, extent, onMove) {
  const start = () => framed(extent.box, -0.5, 0.75, element.clientWidth / Math.max(1, element.clientHeight) || 1);
  let at = start();
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  const leaving = new AbortController();
  const listen = (/** @type {string} */ name, /** @type {(event: any) => void} */ handler, /** @type {any} */ more = {}) =>
    element.addEventListener(name, handler, { signal: leaving.signal, ...more });

  /** @param {number} dx @param {number} dy parts of the picture */
  function turn(dx, dy) {
    at.turn -= dx * Math.PI;
    at.tilt = Math.min(Math.max(at.tilt + dy * Math.PI, 0.03), Math.PI / 2 - 0.001);
    onMove();
  }

  /** @param {number} dx @param {number} dy parts of the picture */
  function move(dx, dy) {
    const reach = (at.away * 2) / FOCAL;
    const [sin, cos] = [Math.sin(at.turn), Math.cos(at.turn)];
    at.x += (-dx * cos - dy * sin) * reach;
    at.y += (-dx * sin + dy * cos) * reach;
    onMove();
  }

  /** @param {number} times */
  function zoom(times) {
    at.away = Math.min(Math.max(at.away * times, extent.radius / 400), extent.radius * 6);
    onMove();
  }

  listen("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    element.focus({ preventScroll: true });
  });
  for (const name of ["pointerup", "pointercancel"]) listen(name, (event) => fingers.delete(event.pointerId));
  listen("contextmenu", (event) => event.preventDefault());
  listen("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const [dx, dy] = [(now.x - before.x) / element.clientHeight, (now.y - before.y) / element.clientHeight];
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1] ?? before;
      zoom(Math.hypot(before.x - other.x, before.y - other.y) / Math.max(1, Math.hypot(now.x - other.x, now.y - other.y)));
      move(dx / 2, dy / 2);
    } else if (event.shiftKey || event.buttons & 2) move(dx, dy);
    else turn(dx, dy);
    fingers.set(event.pointerId, now);
  });
  listen("wheel", (event) => (event.preventDefault(), zoom(Math.exp(event.deltaY / 600))), { passive: false });
  listen("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = /** @type {Record<string, number[]>} */ (KEYS)[event.key];
    if (way) event.shiftKey ? move(-way[0] / 10, way[1] / 10) : turn(way[0] / 14, way[1] / 14);
    else if (event.key === "+" || event.key === "=") zoom(0.8);
    else if (event.key === "-") zoom(1.25);
    else if (event.key === "0" || event.key === "Home") ((at = start()), onMove());
    else return;
    event.preventDefault();
  });

  return {
    reset: () => (at = start()),
    close: () => leaving.abort(),
    /** The view in words, for whoever compares two. */
    state: () => [at.turn, at.tilt, at.away, at.x, at.y].map((value) => value.toFixed(3)).join(" "),
    /** @param {HTMLCanvasElement} canvas */
    view(canvas) {
      const [near, far] = [at.away / 100, at.away + extent.radius * 8];
      return { matrix: matrix(at, canvas.clientWidth / Math.max(1, canvas.clientHeight), near, far), focal: FOCAL / 2, near, far };
    },
  };
}

/** What is right, up and back for a camera. @param {number} turn @param {number} tilt */
function axesOf(turn, tilt) {
  const [st, ct, sp, cp] = [Math.sin(turn), Math.cos(turn), Math.sin(tilt), Math.cos(tilt)];
  return { right: [ct, st, 0], up: [-st * sp, ct * sp, cp], back: [st * cp, -ct * cp, sp] };
}

/** The nearest camera that shows every corner of a box, which fills the picture from edge to edge one way. It circles a point at half
 * the height of the box. @param {number[][]} box @param {number} turn @param {number} tilt @param {number} aspect */
function framed(box, turn, tilt, aspect) {
  const { right, up, back } = axesOf(turn, tilt);
  const middle = box.map(([low, high]) => (low + high) / 2);
  const signs = [-0.5, 0.5];
  const sides = box.map(([low, high]) => signs.map((sign) => sign * (high - low)));
  const corners = sides[0].flatMap((x) => sides[1].flatMap((y) => sides[2].map((z) => [x, y, z])));
  /** How far to move along an axis of the picture, and how far away to be, so that both outermost corners touch its edges.
   * @param {number[]} axis @param {number} wide */
  const fit = (axis, wide) => {
    const one = Math.max(...corners.map((corner) => dot(corner, back) + wide * dot(corner, axis)));
    const other = Math.max(...corners.map((corner) => dot(corner, back) - wide * dot(corner, axis)));
    return [(one - other) / (2 * wide), (one + other) / 2];
  };
  const [aside, away] = fit(right, FOCAL / aspect),
    [upward, far] = fit(up, FOCAL);
  const down = upward * (up[2] / back[2]); // along the line of sight, back to the half height
  const [x, y, z] = middle.map((value, axis) => value + aside * right[axis] + upward * up[axis] - down * back[axis]);
  return { turn, tilt, away: Math.max(away, far) + down || 1, x, y, z };
}

/** @param {number[]} a @param {number[]} b */
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/** Projection times view, in columns. @param {{turn: number, tilt: number, away: number, x: number, y: number, z: number}} at
 * @param {number} aspect @param {number} near @param {number} far */
function matrix(at, aspect, near, far) {
  const { right, up, back } = axesOf(at.turn, at.tilt);
  const place = [at.x, at.y, at.z];
  const [a, b] = [-(far + near) / (far - near), (-2 * far * near) / (far - near)];
  const rows = [
    [...right.map((v) => (v * FOCAL) / aspect), (-dot(right, place) * FOCAL) / aspect],
    [...up.map((v) => v * FOCAL), -dot(up, place) * FOCAL],
    [...back.map((v) => v * a), (-dot(back, place) - at.away) * a + b],
    [...back.map((v) => -v), dot(back, place) + at.away],
  ];
  return Float32Array.from([0, 1, 2, 3].flatMap((column) => rows.map((row) => row[column])));
}
