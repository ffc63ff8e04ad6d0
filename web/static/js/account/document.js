// @ts-check
// Requests for permits. The document: its name and checksum are computed here, the file is sent nowhere. Earlier values fill a form.
import { all, one } from "../base/dom.js";
import { page } from "../base/i18n.js";

/** What a form starts from. @param {HTMLFormElement} form @param {Record<string, any>} values */
function fill(form, values) {
  for (const field of /** @type {any[]} */ ([...form.elements])) {
    if (!(field.name in values)) continue;
    const value = values[field.name];
    if (field.type === "checkbox") field.checked = value.includes(field.value);
    else field.value = typeof value === "string" ? value : JSON.stringify(value);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

/** Name and SHA-256 of a file, into the fields beside it. @param {File} file @param {HTMLFormElement} form */
async function state(file, form) {
  const sum = form.elements.namedItem("document_sha256");
  fill(form, { document: file.name, document_sha256: "" });
  const bytes = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  const hex = [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (sum) fill(form, { document_sha256: hex });
}

const chosen = one("#document-file");
chosen?.addEventListener("change", () => chosen.files[0] && state(chosen.files[0], chosen.form));

/** The map takes an area when it is there. @param {() => void} then */
const whenMapIsReady = (then) => {
  const map = one("#map");
  if (!map || map.dataset.view) return then();
  new MutationObserver((_changes, watching) => {
    if (!map.dataset.view) return;
    watching.disconnect();
    then();
  }).observe(map, { attributes: true, attributeFilter: ["data-view"] });
};

if (page.renewed) {
  const { area, ...rest } = page.renewed;
  fill(one("#permit-request"), rest);
  one("#permit-request [name=area]").value = JSON.stringify(area);
  whenMapIsReady(() => fill(one("#permit-request"), { area }));
}
for (const button of all("[data-fill]")) {
  button.addEventListener("click", () => {
    const form = one("#new-permit");
    fill(form, page.requests[button.dataset.fill]);
    form.scrollIntoView({ block: "start" });
    one("[name=number]", form).focus({ preventScroll: true });
  });
}
document.documentElement.dataset.ready = "";
