// @ts-check
// Stating where data is: a coordinate system from a list with search, an origin typed or clicked, a height datum; the map answers at once.
import { get, post } from "../base/api.js";
import { all, make, one, showText } from "../base/dom.js";
import { placeOf } from "./facts.js";
import { _, sentence } from "../base/i18n.js";

/** @typedef {[number, number, number, number]} Box
 * @typedef {{own: () => Box[], show: (boxes: Box[]) => void,
 *   picking: (pick: ((lon: number, lat: number) => void) | null) => Promise<boolean>}} How */

/** @param {any} root element made by `_placing.html` @param {How} how */
export function placing(root, how) {
  const crs = one("[name=crs]", root),
    list = one("[role=listbox]", root),
    landing = one("[data-landing]", root),
    chosen = one("[data-chosen]", root);
  const origin = ["lon", "lat", "h"].map((name) => one(`[name=${name}]`, root)),
    pick = one("[data-pick]", root);
  let asked = new AbortController(),
    active = -1,
    timer = 0;

  async function search() {
    asked.abort();
    asked = new AbortController();
    try {
      const { systems } = await get(`/systems?limit=20&q=${encodeURIComponent(crs.value.trim().slice(0, 100))}`, { signal: asked.signal });
      active = -1;
      list.replaceChildren(
        ...systems.map((/** @type {any} */ system, /** @type {number} */ i) =>
          make(
            "li",
            {
              role: "option",
              id: `crs-${i}`,
              "aria-selected": "false",
              "data-code": system.code,
              onmousedown: (/** @type {any} */ event) => (event.preventDefault(), choose(system)),
            },
            make("b", system.code),
            make("span", system.label),
            make("span.muted.small", system.area.slice(0, 90)),
          ),
        ),
      );
      if (!systems.length)
        list.replaceChildren(make("li.muted", { role: "option", "aria-disabled": "true" }, _("No coordinate system is called that.")));
      open(document.activeElement === crs);
    } catch (/** @type {any} */ error) {
      if (error.name !== "AbortError") showText(landing, sentence(error));
    }
  }

  /** @param {boolean} isOpen */
  function open(isOpen) {
    list.hidden = !isOpen;
    crs.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) crs.removeAttribute("aria-activedescendant");
  }

  /** @param {{code: string, label: string}} system */
  function choose(system) {
    crs.value = system.code;
    showText(chosen, system.label);
    open(false);
    land();
  }

  /** @param {number} step */
  function move(step) {
    const options = all("[data-code]", list);
    if (!options.length) return;
    active = (active + step + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
    options[active].scrollIntoView({ block: "nearest" });
    crs.setAttribute("aria-activedescendant", options[active].id);
  }

  crs.addEventListener("input", () => {
    showText(chosen, "");
    clearTimeout(timer);
    timer = setTimeout(search, 150);
  });
  crs.addEventListener("focus", search);
  crs.addEventListener("blur", () => (open(false), land()));
  crs.addEventListener("keydown", (/** @type {any} */ event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") (event.preventDefault(), move(event.key === "ArrowDown" ? 1 : -1));
    else if (event.key === "Escape") open(false);
    else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      const option = all("[data-code]", list)[active];
      choose({ code: option.dataset.code, label: one("span", option).textContent });
    }
  });
  for (const input of origin) input.addEventListener("change", land);
  pick.addEventListener("click", async () => {
    const isOn = pick.getAttribute("aria-pressed") !== "true";
    const canPick = await how.picking(isOn ? put : null);
    pick.setAttribute("aria-pressed", String(isOn && canPick));
    if (isOn)
      showText(landing, canPick ? _("Click the place of the origin on the map.") : _("This browser cannot draw the map; type the origin."));
  });

  /** @param {number} lon @param {number} lat */
  function put(lon, lat) {
    [origin[0].value, origin[1].value] = [lon.toFixed(6), lat.toFixed(6)];
    origin[2].value ||= "0";
    pick.setAttribute("aria-pressed", "false");
    how.picking(null);
    land();
  }

  /** Where the files' own numbers would be, on the map. */
  async function land() {
    const stated = placementOf(root),
      boxes = how.own();
    root.dataset.landed = "";
    if (!stated.crs && !stated.origin) return (showText(landing, ""), how.show([]));
    if (!boxes.length) {
      if (stated.origin) how.show([[stated.origin[0], stated.origin[1], stated.origin[0], stated.origin[1]]]);
      return showText(landing, _("The files' own extent is not known yet, so nothing can be drawn before they are read."));
    }
    try {
      const found = await Promise.all(
        boxes.map((box) => post("/systems/box", { box, ...(stated.crs ? { crs: stated.crs } : { origin: stated.origin }) })),
      );
      how.show(found.map((one_) => one_.box));
      const isOutside = found.some((one_) => !one_.is_inside),
        isSwapped = found.some((one_) => one_.is_swapped);
      landing.className = isOutside ? "warn" : "good";
      showText(
        landing,
        isSwapped
          ? _("They would be outside of the area that this system is made for; with east and north exchanged they would be inside.")
          : isOutside
            ? _("They would be outside of the area that this system is made for. Is it the right one?")
            : _("They would be here: %(place)s. Is it the right place?", { place: placeOf(found[0].box) }),
      );
      root.dataset.landed = found.map((one_) => one_.box.map((/** @type {number} */ value) => value.toFixed(5)).join(",")).join(";");
    } catch (error) {
      how.show([]);
      landing.className = "error";
      showText(landing, sentence(error));
    }
  }
}

/** Which columns were named. @param {any} root @param {boolean} isMetric the first two are x and y of a system that was stated
 * @returns {Record<string, string>} */
function columnsOf(root, isMetric) {
  const keys = { lon: isMetric ? "x" : "lon", lat: isMetric ? "y" : "lat", elevation: "h", wkt: "wkt", id: "id", kind: "kind" };
  const named = Object.entries(keys).map(([name, key]) => [key, one(`[name=column_${name}]`, root).value.trim()]);
  return Object.fromEntries(named.filter(([, column]) => column));
}

/** Show the fields for columns, with the names that may be chosen. @param {any} root @param {string[]} names */
export function askColumns(root, names) {
  one("[data-columns]", root).hidden = !names.length;
  one("#column-names", root).replaceChildren(...names.map((value) => make("option", { value })));
}

/** What was stated, as the API takes it. @param {any} root @returns {any} */
export function placementOf(root) {
  /** @type {any} */
  const stated = {};
  const crs = one("[name=crs]", root).value.trim(),
    height = one("[name=height_datum]", root).value;
  if (crs) stated.crs = /^\d{4,6}$/.test(crs) ? `EPSG:${crs}` : crs.replace(/^epsg:/i, "EPSG:");
  const origin = ["lon", "lat", "h"].map((name) => one(`[name=${name}]`, root).value.trim().replace(",", "."));
  if (origin[0] && origin[1]) stated.origin = origin.map((value) => Number(value || 0));
  if (height) stated.height_datum = height;
  const columns = columnsOf(root, Boolean(stated.crs || stated.origin));
  if (Object.keys(columns).length) stated.columns = columns;
  return stated;
}
