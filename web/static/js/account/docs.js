// @ts-check
// A viewer of openapi.json: operations by tag, parameters, bodies, answers. No library.
import { all, make, one } from "../base/dom.js";
import { _ } from "../base/i18n.js";

/** The description of the API is English in every page. */
const SPOKEN = { lang: "en" };
const document_ = await fetch("/openapi.json").then((answer) => answer.json());

/** @param {any} schema @returns {any} */
const resolved = (schema) => (schema?.$ref ? document_.components.schemas[schema.$ref.split("/").at(-1)] : schema);

/** @param {any} schema @returns {string} */
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.type === "array") return `[${kind(schema.items)}]`;
  return [schema.type].flat().filter(Boolean).join(" | ") || "any";
}

/** @param {string} title @param {any} schema */
function shape(title, schema) {
  const found = resolved(schema);
  if (!found?.properties) return null;
  const rows = Object.entries(found.properties).map(([name, /** @type {any} */ value]) =>
    make(
      "tr",
      make("td", make("code", name), found.required?.includes(name) ? " *" : ""),
      make("td", make("code", kind(value))),
      make("td.muted", SPOKEN, value.description ?? (value.enum ? value.enum.join(", ") : "")),
    ),
  );
  return make("div", make("h3", title), make("div.scroll-x", make("table", make("tbody", rows))));
}

/** @param {string} path @param {string} method @param {any} operation */
function item(path, method, operation) {
  const answers = Object.entries(operation.responses ?? {}).filter(([status]) => status.startsWith("2"));
  return make(
    "details.card",
    make("summary", make("code", `${method.toUpperCase()} ${path}`), " ", make("span", SPOKEN, operation.summary ?? "")),
    operation.description && make("p.muted", SPOKEN, operation.description),
    (operation.parameters ?? []).length
      ? make(
          "p",
          _("Parameters"),
          ": ",
          operation.parameters.map((/** @type {any} */ one_) => make("code", `${one_.name} (${one_.in}) `)),
        )
      : null,
    shape(_("Request"), operation.requestBody?.content?.["application/json"]?.schema),
    answers.map(([status, /** @type {any} */ answer]) =>
      shape([_("Answer"), status].join(" "), answer.content?.["application/json"]?.schema),
    ),
  );
}

/** @type {Record<string, any[]>} */
const groups = {};
for (const [path, methods] of Object.entries(document_.paths))
  for (const [method, operation] of Object.entries(/** @type {any} */ (methods)))
    (groups[operation.tags?.[0] ?? "API"] ??= []).push(item(path, method, operation));
one("#operations").replaceChildren(...Object.entries(groups).flatMap(([tag, items]) => [make("h2", SPOKEN, tag), ...items]));
document.documentElement.dataset.ready = String(all("#operations details").length);
