// @ts-check
// Areas that are not drawn: a typed box, pasted text, a file, a saved area, a place, the area of a permit; and saving the one that is
// shown.
import { call, get, post } from "../base/api.js";
import { all, make, one, showText } from "../base/dom.js";
import { isDegrees, NoArea, regionOf } from "./geofile.js";
import { _, ground, page, sentence } from "../base/i18n.js";
import { onRemedy } from "./problems.js";
import { closed, state } from "./state.js";

const LARGEST_FILE = 20_000_000;

/** Wire the forms. `use(geo, from)` takes an area that came from the element `from` (its id), `problem(error, from)` shows why there is
 * none.
 * @param {(geo: any, from: string) => void} use @param {(error: any, from: string, geo?: any) => void} problem */
export function wireAreas(use, problem) {
  /** @param {() => any} area @param {string} from */
  const take = async (area, from) => {
    let geo;
    try {
      geo = area();
      use(await inDegrees(geo), from);
    } catch (error) {
      if (!(/** @type {any} */ (error).code)) throw error;
      problem(error, from, geo);
    }
  };
  onRemedy((geo, from) => take(() => geo, from));
  /** @param {File | undefined} file */
  const read = async (file) => {
    if (!file) return;
    if (file.size > LARGEST_FILE) return problem({ code: "region.too_many_vertices", status: 422, message: "" }, "file-error");
    const text = await file.text();
    await take(() => regionOf(text), "file-error");
  };
  one("#typed-box").addEventListener("submit", (/** @type {any} */ event) => {
    event.preventDefault();
    take(() => typedBox(new FormData(event.target)), "typed-error");
  });
  one("#pasted").addEventListener("submit", (/** @type {any} */ event) => {
    event.preventDefault();
    take(() => regionOf(one("textarea", event.target).value), "pasted-error");
  });
  const chooser = one("#area-file");
  chooser.addEventListener("change", () => read(chooser.files[0]).then(() => (chooser.value = "")));
  const body = document.body;
  addEventListener("dragover", (event) => (event.preventDefault(), body.classList.add("dropping")));
  addEventListener("dragleave", (event) => event.relatedTarget || body.classList.remove("dropping"));
  addEventListener("drop", (event) => (event.preventDefault(), body.classList.remove("dropping"), read(event.dataTransfer?.files[0])));
  if (page.role === "member") wireSaved((geo) => use(geo, ""));
}

/** An area in WGS 84, longitude first; numbers that cannot be degrees are looked at by the server. @param {any} geo */
async function inDegrees(geo) {
  return isDegrees(geo) ? geo : (await post("/outlines", { region: geo })).region;
}

/** Lists of saved areas, places and permits, filled when they are opened. @param {(geo: any) => void} use */
function wireSaved(use) {
  const details = one("#saved"),
    list = one("#saved-list"),
    note = one("#saved-error");
  /** @param {() => Promise<any>} act */
  const attempt = async (act) => {
    try {
      showText(note, "");
      await act();
    } catch (error) {
      showText(note, sentence(error));
    }
  };
  const entry = (/** @type {string} */ name, /** @type {string} */ about, /** @type {() => any} */ choose, /** @type {any[]} */ ...more) =>
    make("li", make("button.link", { type: "button", onclick: choose }, name), make("span.muted.small", about), ...more);
  let asked = 0; // the answer that was asked for last is shown, in whatever order they come
  const fill = () =>
    attempt(async () => {
      const mark = ++asked;
      const [{ areas }, { places }, { permits }] = await Promise.all([get("/areas"), get("/places"), get("/permits")]);
      if (mark !== asked) return;
      const mine = areas.map((/** @type {any} */ one_) =>
        entry(one_.name, ground(one_.area_km2 * 1e6), () => use(one_.region), tell(one_), rename(one_), remove(one_)),
      );
      const held = permits.map((/** @type {any} */ permit) => entry(permit.number, _("permit area"), () => use(polygonal(permit.area))));
      list.replaceChildren(...mine, ...held, ...(mine.length + held.length ? [] : [make("li.muted.small", _("Nothing is saved yet."))]));
      const choice = one("#places");
      choice.closest("label").hidden = !places.length;
      choice.replaceChildren(make("option", { value: "" }, "–"), ...places.map((/** @type {string} */ name) => make("option", name)));
    });
  const remove = (/** @type {any} */ saved) =>
    make(
      "button.link.small",
      {
        type: "button",
        "aria-label": _("Delete %(name)s", { name: saved.name }),
        onclick: () => attempt(async () => (await del(saved.id), fill())),
      },
      _("Delete"),
    );
  const rename = (/** @type {any} */ saved) =>
    make(
      "button.link.small",
      {
        type: "button",
        "aria-label": _("Rename %(name)s", { name: saved.name }),
        onclick: (/** @type {any} */ event) => askName(event.target.closest("li"), saved),
      },
      _("Rename"),
    );
  const tell = (/** @type {any} */ saved) =>
    make(
      "button.link.small",
      {
        type: "button",
        "aria-label": _("Tell me of news in %(name)s", { name: saved.name }),
        "aria-pressed": String(saved.tell.length > 0),
        onclick: (/** @type {any} */ event) => askNews(event.target.closest("li"), saved),
      },
      saved.tell.length ? _("News on") : _("Tell me"),
    );
  const askNews = (/** @type {HTMLElement} */ item, /** @type {any} */ saved) => {
    const boxes = Object.entries(news()).map(([code, name]) =>
      make("label.choice", make("input", { type: "checkbox", value: code, checked: saved.tell.includes(code) }), make("span", name)),
    );
    const submit = (/** @type {any} */ event) => {
      event.preventDefault();
      const chosen = all("input:checked", item).map((/** @type {any} */ box) => box.value);
      attempt(async () => (await call("PUT", `/areas/${saved.id}/news`, { tell: chosen }), fill()));
    };
    const legend = make("legend.small", _("Tell me of news in %(name)s", { name: saved.name }));
    item.replaceChildren(make("form", { onsubmit: submit }, make("fieldset.plainset", legend, ...boxes), make("button", _("Save"))));
    one("input", item).focus();
  };
  const askName = (/** @type {HTMLElement} */ item, /** @type {any} */ saved) => {
    const input = make("input", { value: saved.name, maxlength: "120", required: true, "aria-label": _("Name") });
    const submit = (/** @type {any} */ event) => (
      event.preventDefault(),
      attempt(async () => (await patch(saved.id, input.value), fill()))
    );
    item.replaceChildren(make("form.row", { onsubmit: submit }, input, make("button", _("Save"))));
    input.focus();
  };
  details.addEventListener("toggle", () => details.open && fill());
  one("#places").addEventListener(
    "change",
    (/** @type {any} */ event) =>
      event.target.value && attempt(async () => use((await get(`/places/${encodeURIComponent(event.target.value)}`)).region)),
  );
  one("#save-area").addEventListener("submit", (/** @type {any} */ event) => {
    event.preventDefault();
    const name = one("[name=name]", event.target),
      tell = one("[name=tell]", event.target),
      area = shape();
    if (!area) return showText(note, _("Draw an area first, or choose tiles."));
    const body = { name: name.value, ...area, tell: tell.checked ? Object.keys(news()) : [] };
    attempt(async () => (await post("/areas", body), (name.value = ""), (tell.checked = false), await fill()));
  });
}

/** @param {string} id */
const del = (id) => call("DELETE", `/areas/${id}`);
/** @param {string} id @param {string} name */
const patch = (id, name) => call("PATCH", `/areas/${id}`, { name });

/** The polygons of a geometry. @param {any} geo */
const polygonal = (geo) => regionOf(JSON.stringify(geo));

/** What of a saved area comes as notices. @returns {Record<string, string>} */
const news = () => ({ new: _("New data"), version: _("New versions"), cheaper: _("Lower prices") });

/** The area that is shown, as the API saves it; null while there is none. */
function shape() {
  const area = state.area;
  if (area?.type === "region") return { region: area.geo };
  if (area?.type === "tiles") return area.keys.length ? { quadkeys: area.keys } : null;
  return area?.type === "outline" ? { region: { type: "Polygon", coordinates: [closed(area.ring)] } } : null;
}

/** The polygon of a typed box. @param {FormData} form @returns {any} */
function typedBox(form) {
  const [w, s, e, n] = ["west", "south", "east", "north"].map((name) => Number(String(form.get(name)).replace(",", ".")));
  if (![w, s, e, n].every(Number.isFinite)) throw new NoArea("box.numbers", _("Four numbers in degrees are needed."));
  if (w - e > 180) throw new NoArea("region.over_180", sentence({ code: "region.over_180" }));
  if (!(w < e && s < n)) throw new NoArea("box.sides", _("West must be smaller than east, and south smaller than north."));
  const ring = [
    [w, s],
    [e, s],
    [e, n],
    [w, n],
    [w, s],
  ];
  return { type: "Polygon", coordinates: [ring] };
}
