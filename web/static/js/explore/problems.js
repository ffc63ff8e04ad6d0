// @ts-check
// Why an area cannot be asked for: one sentence beside where it was typed, pasted or chosen, and what to do about it as a button.
import { all, make, one } from "../base/dom.js";
import { _, sentence } from "../base/i18n.js";
import { exchanged, inSystem } from "./geofile.js";

/** @type {(geo: any, from: string) => void} */
let remedy = () => undefined;
/** Call `use` with the area as it was meant, when somebody says how. @param {(geo: any, from: string) => void} use */
export const onRemedy = (use) => void (remedy = use);

/** Show why there is no area beside where it came from; false when it came from the map or from an address.
 * @param {any} error @param {string | undefined} from an id @param {any} geo the area as it was given */
export function showBeside(error, from, geo) {
  const slot = from ? one(`#${from}`) : null;
  if (!slot || !isOfArea(error)) return false;
  slot.replaceChildren(...areaProblem(error, from ?? "", geo));
  slot.hidden = false;
  slot.dataset.code = error.code;
  return true;
}

/** Nothing is wrong any more. */
export function clearProblems() {
  for (const slot of all(".area-error")) {
    slot.hidden = true;
    slot.replaceChildren();
    delete slot.dataset.code;
  }
}

/** @param {any} error */
export const isOfArea = (error) => /^(region|area|box)\./.test(String(error.code));

/** The sentence, and what to do. @param {any} error @param {string} from @param {any} geo @returns {any[]} */
export function areaProblem(error, from, geo) {
  const text = /^(area|box)\./.test(error.code) ? error.message : sentence(error);
  return [make("span", text), ...remedies(error, from, geo), ...commands(error)];
}

/** @param {any} error @param {string} from @param {any} geo */
function remedies(error, from, geo) {
  const button = (/** @type {string} */ text, /** @type {any} */ meant) =>
    make("button.small", { type: "button", "data-remedy": text, onclick: () => remedy(meant, from) }, text);
  if (!geo) return [];
  if (error.code === "region.swapped") return [button(_("Exchange them"), exchanged(geo))];
  if (error.code !== "region.metres") return [];
  const systems = /** @type {string[]} */ (error.details?.systems ?? []);
  return systems.map((system) => button(_("Read as %(system)s", { system }), inSystem(geo, system)));
}

/** What the command line does about it. @param {any} error */
function commands(error) {
  if (/too_large/.test(error.code)) return [make("code.small", "mapex quote --region part.geojson --purpose research")];
  if (/too_many_vertices/.test(error.code))
    return [make("code.small", "mapex quote --region area.geojson --simplify 5 --purpose research")];
  return [];
}
