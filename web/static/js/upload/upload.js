// @ts-check
// The upload page: files by drop or choice, what they are and where they are before anything is sent; then parts, then a version.
import { call, get, post } from "../base/api.js";
import { make, one, showText } from "../base/dom.js";
import { takeFiles } from "./drop.js";
import { offerToLeaveOut, stem } from "./faulty.js";
import { FileRow } from "./row.js";
import { _, page, sentence } from "../base/i18n.js";
import { PlaceMap, countOf } from "./places.js";
import { askColumns, placementOf, placing } from "./placing.js";
import { begunNames, forget, recall } from "./remember.js";
import { Transfer } from "./send.js";
import { slugOf } from "./slug.js";
import { sniff } from "./sniff/sniff.js";

/** @typedef {{transfer: Transfer, row: FileRow, sniffed: import("./sniff/bytes.js").Sniffed | null}} Item one file of the list */
/** @type {Item[]} */
const items = [];
const FILES_AT_ONCE = 3;
const form = one("#upload"),
  button = one("#send"),
  pauseAll = one("#pause");
const map = new PlaceMap(one("#map"));
if (one("#map").offsetParent) setTimeout(() => map.map()); // the country, instead of an empty box
let isStarted = false;
/** @type {import("./sniff/bytes.js").Box[]} where unplaced files would be with what is stated in the form */
let landed = [];

/** @param {File} file @param {string} name */
function add(file, name) {
  if (name.split("/").some((part) => part.startsWith("."))) return; // what desktops leave behind
  if (!file.size) return showText(one("#problem"), _("%(name)s is empty and was left out.", { name }));
  const known = items.find((item) => item.transfer.name === name);
  if (known && !["ready", "paused", "failed", "changed"].includes(known.transfer.state)) return;
  if (known) return replace(known, file);
  const transfer = new Transfer(file, name, () => (item.row.show(transfer), ready()));
  const row = new FileRow(transfer, { remove: () => remove(item), resume: () => resume(item), again: () => again(item) });
  /** @type {Item} */
  const item = { transfer, row, sniffed: null };
  row.remove.hidden = false;
  items.push(item);
  one("#rows").append(row.element);
  for (const line of document.querySelectorAll("#begun li")) if (/** @type {any} */ (line).dataset.name === name) line.remove();
  one("#begun-box").hidden = !one("#begun").children.length;
  const title = one("[name=title]");
  if (title && !title.value) {
    title.value = name
      .split("/")[0]
      .replace(/\.[a-z0-9]+$/i, "")
      .slice(0, 200);
    title.dispatchEvent(new Event("input"));
  }
  look(item);
  if (/\.(prj|shp|gpkg|geojson|fgb|parquet|osm|la[sz]|pcd|ply)$/i.test(name))
    for (const other of items) if (other !== item && stem(other.transfer.name) === stem(name)) look(other);
  ready();
}

/** A file of the same name was chosen again. @param {Item} item @param {File} file */
function replace(item, file) {
  const wasChanged = item.transfer.state === "changed";
  item.transfer.file = file;
  look(item);
  if (wasChanged) item.transfer.startAgain().then(() => (isStarted ? resume(item) : undefined));
  else if (isStarted) resume(item);
}

/** @param {Item} item */
async function look(item) {
  const { file, name } = item.transfer;
  const sibling = (/** @type {string} */ ending) =>
    items.find((other) => stem(other.transfer.name) === stem(name) && other.transfer.name.toLowerCase().endsWith(`.${ending}`))?.transfer
      .file ?? null;
  try {
    item.sniffed = await sniff(file, name, sibling);
    if (!item.sniffed.box && item.sniffed.own && item.sniffed.crs && item.sniffed.notes.includes("ask")) {
      const found = await post("/systems/box", { box: item.sniffed.own, crs: item.sniffed.crs }).catch(() => null);
      item.sniffed = found ? { ...item.sniffed, box: found.box } : { ...item.sniffed, notes: ["not_there"] };
    }
  } catch {
    item.sniffed = null; // it cannot be read now: sending it will say so
  }
  if (item.sniffed) item.row.describe(item.sniffed);
  showPlaces();
  ready();
}

function showPlaces() {
  const boxes = items.flatMap((item) => (item.sniffed?.box ? [item.sniffed.box] : []));
  map.show([...boxes, ...landed]);
  one("#map-says").textContent = countOf(boxes.length, items.length);
  const isAsked = items.some(
    (item) =>
      item.sniffed &&
      !item.sniffed.box &&
      item.sniffed.notes.some((note) => ["no_crs", "no_columns", "no_prj", "asked", "local"].includes(note)),
  );
  askColumns(one("[data-placing]"), [...new Set(items.flatMap((item) => item.sniffed?.columns ?? []))]);
  if (isAsked) one("#placing-box").open = true;
}

/** @param {Item[]} gone */
function remove(...gone) {
  for (const item of gone) {
    items.splice(items.indexOf(item), 1);
    item.row.element.remove();
  }
  showPlaces();
  ready();
}

function ready() {
  const isBusy = items.some((item) => ["queued", "sending", "waiting"].includes(item.transfer.state));
  button.disabled = !items.length || isBusy || items.some((item) => item.transfer.file.size > page.limit);
  button.textContent = isBusy ? _("Sending …") : isStarted ? _("Go on") : _("Upload and check");
  pauseAll.hidden = !isBusy;
  offerToLeaveOut(isBusy ? [] : items, (out) => (remove(...out), one("#send").focus()));
  showText(
    one("#safe"),
    isBusy ? _("You may close this tab. Open this page again and choose the same files: only what is missing is sent.") : "",
  );
}

/** Send one file; when it was the last, go on to the checks. @param {Item} item */
async function resume(item) {
  await item.transfer.run();
  if (isStarted && items.every((one_) => one_.transfer.state === "done")) await finish();
}

/** @param {Item} item */
async function again(item) {
  await item.transfer.startAgain();
  await resume(item);
}

/** @param {any} event */
async function start(event) {
  event.preventDefault();
  const given = new FormData(form);
  showText(one("#problem"), "");
  try {
    if (one("[name=title]")) await post("/datasets", { slug: String(given.get("slug")), title: String(given.get("title")) });
  } catch (error) {
    return showText(one("#problem"), sentence(error));
  }
  isStarted = true;
  const waiting = items.filter((item) => item.transfer.state !== "done");
  for (const item of waiting) item.transfer.is("queued");
  const work = async () => {
    for (let item = waiting.shift(); item; item = waiting.shift()) if (item.transfer.state === "queued") await item.transfer.run();
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, work));
  if (isStarted && items.every((item) => item.transfer.state === "done")) await finish();
  ready();
}

/** All files are there: start a version. */
async function finish() {
  const given = new FormData(form),
    slug = String(given.get("slug"));
  isStarted = false;
  button.disabled = true;
  showText(one("#status"), _("Starting the checks …"));
  try {
    const made = await post(`/datasets/${slug}/versions`, {
      uploads: items.map((item) => item.transfer.id),
      class: String(given.get("class")),
      ...placementOf(one("[data-placing]")),
    });
    for (const item of items) forget(item.transfer.name);
    location.assign(`/sell/${slug}/${made.version}`);
  } catch (error) {
    showText(one("#status"), "");
    showText(one("#problem"), sentence(error));
    ready();
  }
}

/** Uploads that this browser began and did not finish. */
async function listBegun() {
  for (const name of begunNames().slice(0, 20)) {
    const known = recall(name);
    const found = known && (await get(`/uploads/${known.id}`).catch((error) => (error.status === 404 ? null : "unknown")));
    if (found === "unknown") continue;
    if (!found || !["open", "complete"].includes(found.state)) {
      forget(name);
      continue;
    }
    if (items.some((item) => item.transfer.name === name)) continue;
    const drop = () => (
      found.state === "open" && call("DELETE", `/uploads/${found.id}`).catch(() => null),
      forget(name),
      line.remove(),
      (one("#begun-box").hidden = !one("#begun").children.length)
    );
    const line = make(
      "li.between",
      { "data-name": name },
      make("span", { dir: "auto" }, name),
      make(
        "span.muted.small",
        _("parts arrived: %(done)s of %(all)s", { done: found.received.length, all: found.parts }),
        " ",
        make("button.link", { type: "button", "aria-label": `${_("Forget")}: ${name}`, onclick: drop }, _("Forget")),
      ),
    );
    one("#begun").append(line);
    one("#begun-box").hidden = false;
  }
}

takeFiles(add);
placing(one("[data-placing]"), {
  own: () => items.flatMap((item) => (item.sniffed?.own && !item.sniffed.box ? [item.sniffed.own] : [])),
  show: (boxes) => ((landed = boxes), showPlaces()),
  picking: (pick) => map.picking(pick),
});
const slug = one("input[name=slug]:not([type=hidden])");
one("[name=title]")?.addEventListener("input", (/** @type {any} */ event) => {
  if (!slug.dataset.typed) slug.value = slugOf(event.target.value);
});
slug?.addEventListener("input", () => (slug.dataset.typed = "yes"));
pauseAll.addEventListener("click", () =>
  items.forEach((item) => ["queued", "sending", "waiting"].includes(item.transfer.state) && item.transfer.pause()),
);
form.addEventListener("submit", start);
document.documentElement.dataset.ready = "yes";
listBegun();
