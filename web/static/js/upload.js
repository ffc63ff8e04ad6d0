// @ts-check
// The upload page: files and folders by drop or choice, progress, pause, then a version is started.
import { post } from "./api.js";
import { all, make, one, tell } from "./dom.js";
import { _, bytes, page, sentence } from "./i18n.js";
import { Paused, send } from "./send.js";

/** @typedef {{file: File, name: string, row: any, bar: any, says: any, id: string}} Item */
/** @type {Item[]} */
const items = [];
const form = one("#upload");
const button = one("#send");
const pause = one("#pause");
const drop = one("#drop");
let stop = new AbortController();

/** @param {File} file @param {string} name */
function add(file, name) {
  if (!file.size || items.some((item) => item.name === name) || name.split("/").some((part) => part.startsWith("."))) return;
  const bar = make("progress", { max: file.size, value: 0, "aria-label": name });
  const says = make("span.muted.small.nowrap", bytes(file.size));
  const remove = make("button.link", { type: "button", onclick: () => (items.splice(items.indexOf(item), 1), row.remove(), ready()) }, _("Remove"));
  const row = make("li.file-row", make("div.between", make("b", name), make("span.nowrap", says, " ", remove)), bar);
  const item = { file, name, row, bar, says, id: "" };
  if (file.size > page.limit) says.textContent = _("too large for this exchange");
  items.push(item);
  one("#rows").append(row);
  const title = one("[name=title]");
  if (title && !title.value) {
    title.value = name.split("/")[0].replace(/\.[a-z0-9]+$/i, "");
    title.dispatchEvent(new Event("input"));
  }
  ready();
}

const ready = () => (button.disabled = !items.length || items.some((item) => item.file.size > page.limit));

/** Files of a dropped folder, with paths inside it. @param {any} entry @param {string} path @returns {Promise<void>} */
async function walk(entry, path) {
  if (entry.isFile) return add(await new Promise((resolve, reject) => entry.file(resolve, reject)), path + entry.name);
  const reader = entry.createReader();
  for (;;) {
    /** @type {any[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inner of some) await walk(inner, `${path}${entry.name}/`);
  }
}

/** @param {FormData} given */
function placement(given) {
  /** @type {any} */
  const said = {};
  for (const name of ["crs", "height_datum"]) if (given.get(name)) said[name] = String(given.get(name)).trim();
  if (given.get("origin")) said.origin = String(given.get("origin")).split(",").map(Number);
  return said;
}

/** @param {any} event */
async function start(event) {
  event.preventDefault();
  const given = new FormData(form);
  const slug = String(given.get("slug"));
  tell(one("#problem"), "");
  button.disabled = true;
  pause.hidden = false;
  stop = new AbortController();
  for (const one_ of all("button.link", one("#rows"))) one_.hidden = true;
  try {
    if (one("[name=title]")) await post("/datasets", { slug, title: String(given.get("title")) });
    for (const item of items) await sendOne(item);
    tell(one("#status"), _("Starting the checks …"));
    const made = await post(`/datasets/${slug}/versions`, { uploads: items.map((item) => item.id), class: String(given.get("class")), ...placement(given) });
    location.assign(`/sell/${slug}/${made.version}`);
  } catch (error) {
    const paused = error instanceof Paused;
    tell(one("#status"), paused ? _("Paused. What arrived is kept.") : "");
    if (!paused) tell(one("#problem"), sentence(error));
    button.disabled = false;
    button.textContent = _("Go on");
  }
  pause.hidden = true;
}

/** @param {Item} item */
async function sendOne(item) {
  const from = performance.now();
  let first = -1;
  item.id = await send(item.file, item.name, {
    signal: stop.signal,
    onProgress(sent) {
      if (first < 0) first = sent;
      item.bar.value = sent;
      const speed = (sent - first) / Math.max(0.2, (performance.now() - from) / 1000);
      const left = speed > 0 ? Math.ceil((item.file.size - sent) / speed) : 0;
      const rest = speed > 0 && sent < item.file.size ? [`${bytes(speed)}/s`, _("%(count)s s left", { count: left })] : [];
      item.says.textContent = [`${bytes(sent)} / ${bytes(item.file.size)}`, ...rest].join(" · ");
    },
  });
  item.bar.value = item.file.size;
  item.says.textContent = `${bytes(item.file.size)} ✓`;
}

for (const input of [one("#files"), one("#folder")]) {
  input.addEventListener("change", () => {
    for (const file of input.files) add(file, file.webkitRelativePath || file.name);
    input.value = "";
  });
}
drop.addEventListener("dragover", (/** @type {any} */ event) => (event.preventDefault(), drop.classList.add("over")));
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", async (/** @type {any} */ event) => {
  event.preventDefault();
  drop.classList.remove("over");
  for (const entry of [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry())) if (entry) await walk(entry, "");
});
const slug = one("input[name=slug]:not([type=hidden])");
one("[name=title]")?.addEventListener("input", (/** @type {any} */ event) => {
  if (!slug.dataset.typed) slug.value = event.target.value.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 63);
});
slug?.addEventListener("input", () => (slug.dataset.typed = "yes"));
pause.addEventListener("click", () => stop.abort());
form.addEventListener("submit", start);
addEventListener("beforeunload", (event) => {
  if (!pause.hidden && !one("#status").textContent) event.preventDefault();
});
document.documentElement.dataset.ready = "yes";
