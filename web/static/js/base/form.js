// @ts-check
// Forms and buttons that speak to the API: `data-post` sends a form as JSON (`data-method`: not by POST; `data-then`: the page after
// it), `data-act` sets a state, `data-delete` takes away. A form with a `[data-saved]` says that it was saved, instead of loading the page
// again. What cannot be undone asks first (`data-sure`), in the page, where the button was.
import { call, post } from "./api.js";
import { offerCopies } from "./copy.js";
import { all, make, one, showText } from "./dom.js";
import { _, sentence, won } from "./i18n.js";

/** @typedef {Error & {field?: string}} Mistake */

/** The value of a field as the API wants it. @param {HTMLInputElement} field @returns {any} */
function valueOf(field) {
  const text = field.value.trim();
  if (field.dataset.type === "whole") return Number(text.replaceAll(",", ""));
  if (field.dataset.type === "number") return text ? Number(text.replace(",", ".")) : null;
  if (field.dataset.type === "limit") return text ? Number(text.replaceAll(",", "")) : null;
  if (field.dataset.type === "day") return `${text}T00:00:00+09:00`;
  return field.dataset.type === "area" ? areaOf(text) : field.value;
}

/** GeoJSON, or a box as four numbers. @param {string} text @returns {any} */
export function areaOf(text) {
  const numbers = text.split(",").map(Number);
  if (numbers.length === 4 && numbers.every(Number.isFinite)) {
    const [w, s, e, n] = numbers;
    return {
      type: "Polygon",
      coordinates: [
        [
          [w, s],
          [e, s],
          [e, n],
          [w, n],
          [w, s],
        ],
      ],
    };
  }
  try {
    return JSON.parse(text);
  } catch {
    throw Object.assign(new Error(text), { code: "region.malformed" });
  }
}

/** @param {HTMLFormElement} form @returns {Record<string, any>} */
function gather(form) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const field of /** @type {any[]} */ ([...form.elements])) {
    if (!field.name) continue;
    if (field.dataset.type === "flag") found[field.name] = field.type === "checkbox" ? field.checked : field.value === "yes";
    else if (field.type === "checkbox") {
      found[field.name] ??= [];
      if (field.checked) found[field.name].push(field.value);
    } else if (field.type !== "radio" || field.checked) found[field.name] = valueOf(field);
  }
  return found;
}

/** The address with its `{names}` filled from the body, which loses them. @param {string} path @param {Record<string, any>} body */
export function addressed(path, body) {
  return path.replace(/\{(\w+)\}/g, (_all, name) => {
    const value = body[name];
    delete body[name];
    return encodeURIComponent(value);
  });
}

/** Ask in the page; the answer is what was pressed. @param {HTMLElement} button @param {string} text @returns {Promise<boolean>} */
export function sure(button, text) {
  return new Promise((resolve) => {
    /** @param {boolean} answer */
    const done = (answer) => {
      asked.remove();
      button.hidden = false;
      button.focus();
      resolve(answer);
    };
    const yes = make("button.primary", { type: "button", onclick: () => done(true) }, _("Yes"));
    const asked = make(
      "span.sure",
      { role: "group", "aria-label": text },
      make("span", { dir: "auto" }, text),
      make("span.actions", yes, make("button", { type: "button", onclick: () => done(false) }, _("No"))),
    );
    asked.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && done(false));
    button.hidden = true;
    button.after(asked);
    yes.focus();
  });
}

/** Send a form. @param {HTMLFormElement} form @param {HTMLElement} button
 * @returns {Promise<boolean>} whether the page is being loaded again */
async function send(form, button) {
  const problem = one("[data-problem]", form);
  showText(problem, "");
  const saved = one("[data-saved]", form);
  if (saved) showText(saved, "");
  try {
    const body = gather(form);
    if (form.dataset.sure) {
      const text = form.dataset.sure.replace("%(amount)s", won(body.amount)).replace("%(org)s", body.org).replace("%(email)s", body.email);
      if (!(await sure(button, text))) return false;
    }
    button.setAttribute("aria-busy", "true");
    const made = await call(form.dataset.method ?? "POST", addressed(/** @type {string} */ (form.dataset.post), body), body);
    if (saved) {
      showText(saved, _("Saved."));
      button.removeAttribute("aria-busy");
      return false;
    }
    if (!form.dataset.shown || !made[form.dataset.shown]) {
      if (form.dataset.then) location.assign(form.dataset.then);
      else location.reload();
      return true;
    }
    one("[data-secret]", form).textContent = made[form.dataset.shown];
    one("[data-made]", form).hidden = false;
  } catch (error) {
    showText(problem, sentence(error));
  }
  button.removeAttribute("aria-busy");
  return false;
}

for (const form of all("form[data-post]")) {
  let waiting = false; // for an answer of the person, of the server, or for the page to load again
  form.addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (waiting) return;
    waiting = true;
    waiting = await send(form, event.submitter ?? one("button:not([type=button])", form));
  });
}

for (const button of all("[data-act], [data-delete]")) {
  button.addEventListener("click", async () => {
    if (button.dataset.sure && !(await sure(button, button.dataset.sure))) return;
    try {
      if (button.dataset.delete) await call("DELETE", button.dataset.delete);
      else await post(button.dataset.act, { state: button.dataset.state });
      location.reload();
    } catch (error) {
      const problem = one("#problem");
      if (problem) showText(problem, sentence(error));
    }
  });
}
offerCopies();
document.documentElement.dataset.forms = "";
// Where a page has a script of its own beside the forms, that one says when it is ready.
const others = all("script[type=module][src]").filter((one) => !/\/(header|permit|form)\.js/.test(one.src));
if (!others.length) document.documentElement.dataset.ready = "";
