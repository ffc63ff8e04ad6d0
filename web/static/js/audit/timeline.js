// @ts-check
// A histogram of entries over time with a brush: dragged over the bars, or moved by two sliders (arrow keys), edges on bar edges.
import { make } from "../base/dom.js";
import { _, number } from "../base/i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 72,
  KST = 9 * 3600;

/** @param {string} tag @param {Record<string, string | number>} values @param {Node[]} parts */
function draw(tag, values, ...parts) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, String(value));
  made.append(...parts);
  return made;
}

/** Korean time of a UTC second, as the filter writes it. @param {number} second */
export const written = (second) => `${new Date((second + KST) * 1000).toISOString().slice(0, 19).replace(/:00$/, "")}+09:00`;
/** @param {number} second */
const spoken = (second) => new Date((second + KST) * 1000).toISOString().slice(0, 16).replace("T", " ");

/** @param {HTMLElement} container
 * @param {{width: number, bars: [number, number, number][], from: number | null, to: number | null}} figures
 * @param {(from: number | null, to: number | null) => void} onBrush seconds, half open; null = open */
export function timeline(container, { width, bars, from, to }, onBrush) {
  container.replaceChildren();
  if (!bars.length) return;
  const first = bars[0][0],
    count = Math.round((bars[bars.length - 1][0] - first) / width) + 1;
  const most = Math.max(...bars.map((bar) => bar[1]));
  const index = (/** @type {number | null} */ second, /** @type {number} */ open) =>
    second === null ? open : Math.max(0, Math.min(count, Math.round((second - first) / width)));
  let [a, b] = [index(from, 0), index(to, count)];

  const columns = bars.map(([at, entries, flagged]) => {
    const x = (at - first) / width,
      height = Math.max(2, (entries / most) * HEIGHT),
      red = flagged ? Math.max(2, (flagged / most) * HEIGHT) : 0;
    const title = draw(
      "title",
      {},
      document.createTextNode(`${spoken(at)} · ${number(entries)}${flagged ? ` · ${_("flagged")} ${number(flagged)}` : ""}`),
    );
    return draw(
      "g",
      {},
      title,
      draw("rect", { x: x + 0.08, width: 0.84, y: HEIGHT - height, height, class: "bar" }),
      ...(red ? [draw("rect", { x: x + 0.08, width: 0.84, y: HEIGHT - red, height: red, class: "red" })] : []),
    );
  });
  const brush = draw("rect", { y: 0, height: HEIGHT, class: "brush" });
  const svg = draw("svg", { viewBox: `0 0 ${count} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...columns, brush);
  const slider = (/** @type {string} */ name) =>
    make("input", { type: "range", min: "0", max: String(count), step: "1", "aria-label": name });
  const start = slider(_("From")),
    end = slider(_("To, not included"));
  const chosen = make("span.small.muted"),
    clear = make("button.link", { type: "button" }, _("All times"));
  container.append(
    svg,
    make("div.sliders", make("label.small", _("From"), start), make("label.small", _("To, not included"), end)),
    make("div.between", chosen, clear),
  );

  function show() {
    brush.setAttribute("x", String(a));
    brush.setAttribute("width", String(b - a));
    start.value = String(a);
    end.value = String(b);
    start.setAttribute("aria-valuetext", spoken(first + a * width));
    end.setAttribute("aria-valuetext", spoken(first + b * width));
    chosen.textContent = `${spoken(first + a * width)} – ${spoken(first + b * width)} +09:00`;
    clear.hidden = a === 0 && b === count;
  }
  const choose = () => onBrush(a === 0 ? null : first + a * width, b === count ? null : first + b * width);
  start.addEventListener("input", () => {
    a = Math.min(Number(start.value), b - 1);
    show();
  });
  end.addEventListener("input", () => {
    b = Math.max(Number(end.value), a + 1);
    show();
  });
  for (const one of [start, end]) one.addEventListener("change", choose);
  clear.addEventListener("click", () => onBrush(null, null));

  /** Which bar the pointer is over. @param {PointerEvent} event */
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    return Math.max(0, Math.min(count - 1, Math.floor(((event.clientX - box.left) / box.width) * count)));
  };
  /** @type {number | null} */
  let began = null;
  svg.addEventListener("pointerdown", (event) => {
    began = at(/** @type {PointerEvent} */ (event));
    svg.setPointerCapture(/** @type {PointerEvent} */ (event).pointerId);
    [a, b] = [began, began + 1];
    show();
  });
  svg.addEventListener("pointermove", (event) => {
    if (began === null) return;
    const now = at(/** @type {PointerEvent} */ (event));
    [a, b] = [Math.min(began, now), Math.max(began, now) + 1];
    show();
  });
  svg.addEventListener("pointerup", () => {
    if (began === null) return;
    began = null;
    choose();
  });
  show();
}
