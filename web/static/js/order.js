// @ts-check
// An order: its files, and downloads through grants; each file is compared with its promised sha256 before it is given to the reader.
import { get, post } from "./api.js";
import { all, make, one, tell } from "./dom.js";
import { square } from "./grid.js";
import { _, bytes, number, page, sentence, word } from "./i18n.js";
import { archive, crc32 } from "./zip.js";

const AT_ONCE = 3;
/** Files of one call for grants: an address lives for two minutes only. */
const BATCH = 12;
const MOST_BYTES = 1.5e9;
const SHOWN = 200;

/** @type {any[]} */
const tiles = [];
let shown = 0;
/** @type {Set<string>} */
const chosen = new Set();

const status = one("#status");
const button = one("#download");

async function load() {
  let after = "";
  do {
    const answer = await get(`/orders/${page.order}/tiles?limit=1000&after=${encodeURIComponent(after)}`);
    tiles.push(...answer.tiles);
    after = answer.next ?? "";
  } while (after);
  one("#more").addEventListener("click", showMore);
  one("#every").addEventListener("change", (/** @type {any} */ event) => {
    chosen.clear();
    if (event.target.checked) tiles.forEach((tile) => chosen.add(tile.id));
    for (const box of all("#files input")) box.checked = event.target.checked;
    say();
  });
  button.addEventListener("click", () => download(chosen.size ? tiles.filter((tile) => chosen.has(tile.id)) : tiles));
  button.disabled = !tiles.length;
  showMore();
  say();
  await showMap();
  document.documentElement.dataset.ready = "yes";
}

function showMore() {
  const rows = tiles.slice(shown, shown + SHOWN).map((tile) =>
    make(
      "tr",
      make("td", make("input", { type: "checkbox", "aria-label": tile.path, onchange: (/** @type {any} */ event) => ((event.target.checked ? chosen.add(tile.id) : chosen.delete(tile.id)), say()) })),
      make("td", make("button.link", { type: "button", onclick: () => download([tile], true) }, tile.path)),
      make("td", make(`span.chip.${tile.class}`, word("classes", tile.class))),
      make("td.n", bytes(tile.size)),
    ),
  );
  one("#files").append(...rows);
  shown += rows.length;
  one("#more").hidden = shown >= tiles.length;
}

function say() {
  const wanted = chosen.size ? tiles.filter((tile) => chosen.has(tile.id)) : tiles;
  const size = wanted.reduce((sum, tile) => sum + tile.size, 0);
  const count = _("%(count)s files", { count: number(wanted.length) });
  const words = chosen.size ? _("Download the chosen files") : _("Download all");
  tell(one("#summary"), `${count} · ${bytes(size)}`);
  button.textContent = `${words} (${bytes(size)})`;
}

/** @param {any[]} wanted @param {boolean} [plain] one file as itself, not in an archive */
async function download(wanted, plain = false) {
  tell(one("#problem"), "");
  const size = wanted.reduce((sum, tile) => sum + tile.size, 0);
  if (size > MOST_BYTES) return tell(one("#problem"), _("That is too much for a browser. Use the command line beside: it resumes and verifies."));
  const bar = one("#progress");
  bar.hidden = button.disabled = false;
  button.disabled = true;
  [bar.max, bar.value] = [size, 0];
  try {
    /** @type {any[]} */
    const files = [];
    for (let at = 0; at < wanted.length; at += BATCH) files.push(...(await fetchBatch(wanted.slice(at, at + BATCH), (count) => (bar.value += count))));
    tell(status, _("%(count)s files, each checksum is right.", { count: number(files.length) }));
    if (plain) save(files[0].body, files[0].path.replaceAll("/", "-"));
    else save(archive([...files, manifest(wanted)]), `${page.order}.zip`);
    document.documentElement.dataset.downloaded = String(files.length);
  } catch (error) {
    tell(one("#problem"), sentence(error));
    one("#problem").dataset.code = /** @type {any} */ (error).code ?? "";
  }
  button.disabled = false;
}

/** @param {any[]} wanted @param {(count: number) => void} got @returns {Promise<any[]>} */
async function fetchBatch(wanted, got) {
  // Original footage is bound to a secret that only this page knows and sends as a header: a copied address is worth nothing.
  const holder = hex(crypto.getRandomValues(new Uint8Array(32)));
  const { grants } = await post("/grants", { order: page.order, tiles: wanted.map((tile) => tile.id), holder });
  const byId = new Map(wanted.map((tile) => [tile.id, tile]));
  const waiting = [...grants];
  /** @type {any[]} */
  const files = [];
  const work = async () => {
    for (let grant = waiting.shift(); grant; grant = waiting.shift()) {
      files.push(await fetchOne(grant, byId.get(grant.tile_id), holder));
      got(grant.size);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** @param {any} grant @param {any} tile @param {string} holder */
async function fetchOne(grant, tile, holder) {
  const headers = { ...grant.headers, ...(grant.holder_required ? { "x-mapex-holder": holder } : {}) };
  const answer = await fetch(grant.url, { method: grant.method, headers, credentials: "omit", cache: "no-store" });
  if (!answer.ok) throw { code: "download.refused", message: _("The store refused %(path)s (%(status)s).", { path: tile.path, status: answer.status }) };
  const body = await answer.arrayBuffer();
  if (hex(new Uint8Array(await crypto.subtle.digest("SHA-256", body))) !== grant.sha256) throw { code: "download.altered", message: _("%(path)s did not arrive as it was sold. Try again.", { path: tile.path }) };
  return { path: tile.path, size: body.byteLength, crc: crc32(new Uint8Array(body)), body: new Blob([body], { type: tile.media_type }) };
}

/** What was downloaded, with licence, attribution and checksums, as `mapex get` writes it. @param {any[]} wanted */
function manifest(wanted) {
  const files = wanted.map(({ path, sha256, size, dataset, org, version, layer, tile, licence, attribution }) => ({ path, sha256, size, dataset, org, version, layer, tile, licence, attribution }));
  const body = new TextEncoder().encode(JSON.stringify({ order: page.order, files }, null, 1));
  return { path: "manifest.json", size: body.length, crc: crc32(body), body: new Blob([body]) };
}

/** @param {Blob} body @param {string} name */
function save(body, name) {
  const link = make("a", { href: URL.createObjectURL(body), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** @param {Uint8Array} raw */
const hex = (raw) => [...raw].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function showMap() {
  const { boxOf, canDraw, showOn } = await import("./map.js");
  const cells = { type: "FeatureCollection", features: [...new Set(tiles.map((tile) => tile.tile))].slice(0, 5000).map(square) };
  if (canDraw()) await showOn(one("#map"), cells, boxOf(cells));
  else one(".minimap").hidden = true;
}

load().catch((error) => tell(one("#problem"), sentence(error)));
