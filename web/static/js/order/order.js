// @ts-check
// An order: its files and which of them are chosen, their download, how far it is, what is newer, who may use it.
import { call, get, post } from "../base/api.js";
import { offerCopies } from "../base/copy.js";
import { all, make, one, showText } from "../base/dom.js";
import { fetchAll } from "./download.js";
import { _, bytes, n_, number, page, sentence, word } from "../base/i18n.js";
import { showOrder } from "./map.js";
import { archiveTo, fits, save, verified } from "./save.js";
import { permitWay } from "../base/permits.js";
import { named, watchUsers } from "./users.js";

const SHOWN = 200;
const POLL_MS = 4000;

/** @type {any[]} */
const tiles = [];
let shown = 0;
/** Ids of chosen files; none = all. @type {Set<string>} */
const chosen = new Set();
/** @type {AbortController | null} */
let running = null;

const status = one("#status");
const button = one("#download");
const problem = one("#problem");
const bar = one("#progress");

async function load() {
  offerCopies();
  let after = "";
  do {
    const answer = await get(`/orders/${page.order}/tiles?limit=1000&after=${encodeURIComponent(after)}`);
    tiles.push(...answer.tiles);
    after = answer.next ?? "";
  } while (after);
  one("#more").addEventListener("click", showMore);
  one("#every").addEventListener("change", (/** @type {any} */ event) => choose(tiles, event.target.checked));
  one("#layers").replaceChildren(...layers());
  one("#attribution").textContent = [...new Set(tiles.map((tile) => tile.attribution))].filter(Boolean).join(", ");
  button.addEventListener("click", () => start(wanted()));
  one("#stop").addEventListener("click", () => running?.abort());
  one("#retry").addEventListener("click", () => start(wanted()));
  for (const renewed of all("[data-update]")) renewed.addEventListener("click", () => update(renewed));
  watchUsers(nameUsers);
  button.disabled = !tiles.length;
  showMore();
  say();
  poll();
  const map = await showOrder(tiles, Number(one("#updates")?.dataset.changed ?? 0) ? await get(`/orders/${page.order}/updates`) : null);
  if (!map) one(".minimap").hidden = true;
  document.documentElement.dataset.ready = "yes";
}

const wanted = () => (chosen.size ? tiles.filter((tile) => chosen.has(tile.id)) : tiles);
/** @param {any} tile */
const layerOf = (tile) => `${tile.dataset} · ${tile.layer}`;

/** One box for each layer. */
function layers() {
  return [...new Set(tiles.map(layerOf))].map((name) => {
    const own = tiles.filter((tile) => layerOf(tile) === name);
    const size = own.reduce((sum, tile) => sum + tile.size, 0);
    const box = make("input", {
      type: "checkbox",
      "data-layer": name,
      onchange: (/** @type {any} */ event) => choose(own, event.target.checked),
    });
    return make(
      "label.choice",
      box,
      make("span", make("b", name), ` ${n_("%(count)s file", "%(count)s files", own.length)} · ${bytes(size)}`),
    );
  });
}

/** @param {any[]} some @param {boolean} on */
function choose(some, on) {
  for (const tile of some) on ? chosen.add(tile.id) : chosen.delete(tile.id);
  for (const box of all("#files input")) box.checked = chosen.has(box.dataset.tile);
  for (const box of all("#layers input")) {
    const own = tiles.filter((tile) => layerOf(tile) === box.dataset.layer);
    const taken = own.filter((tile) => chosen.has(tile.id)).length;
    [box.checked, box.indeterminate] = [taken === own.length, taken > 0 && taken < own.length];
  }
  one("#every").checked = chosen.size === tiles.length;
  say();
}

function showMore() {
  const rows = tiles.slice(shown, shown + SHOWN).map((tile) =>
    make(
      "tr",
      make(
        "td",
        make("input", {
          type: "checkbox",
          "data-tile": tile.id,
          "aria-label": tile.path,
          onchange: (/** @type {any} */ event) => choose([tile], event.target.checked),
        }),
      ),
      make("td", tile.place, make("br"), make("button.link.small", { type: "button", onclick: () => start([tile], true) }, tile.path)),
      make("td", make(`span.chip.${tile.class}`, word("classes", tile.class))),
      make("td.n", bytes(tile.size)),
    ),
  );
  one("#files").append(...rows);
  shown += rows.length;
  one("#more").hidden = shown >= tiles.length;
}

function say() {
  const size = wanted().reduce((sum, tile) => sum + tile.size, 0);
  showText(one("#summary"), `${n_("%(count)s file", "%(count)s files", wanted().length)} · ${bytes(size)}`);
  button.textContent = `${chosen.size ? _("Download the chosen files") : _("Download all")} (${bytes(size)})`;
}

/** The open archive of a download that did not end, with what it is of. @type {{sink: any, ids: string} | null} */
let open = null;

/** @param {any[]} some @param {boolean} [plain] one file as itself, not in an archive */
async function start(some, plain = false) {
  if (running) return;
  showText(problem, "");
  const size = some.reduce((sum, tile) => sum + tile.size, 0);
  if (!fits(size))
    return showText(
      problem,
      _("That is too much for this browser. Choose fewer files, or use the command line beside: it resumes and verifies."),
    );
  const stop = (running = new AbortController());
  busy(true);
  try {
    const ids = some.map((tile) => tile.id).join();
    if (open && open.ids !== ids) (await open.sink.drop(), (open = null));
    open ??= { sink: await archiveTo(plain ? 0 : size, `${page.order}.zip`), ids };
    const missing = some.filter((tile) => !verified.has(tile.id));
    [bar.max, bar.value] = [Math.max(size, 1), size - missing.reduce((sum, tile) => sum + tile.size, 0)];
    const outcome = await fetchAll(page.order, missing, {
      signal: stop.signal,
      got: (count) => (bar.value += count),
      take: open.sink.take,
    });
    if (outcome.error || outcome.failed.length) return unfinished(some, outcome);
    if (plain) save(verified.get(some[0].id).body, some[0].path.replaceAll("/", "-"));
    else await open.sink.end(some);
    open = null;
    showText(status, n_("%(count)s file, its checksum is right.", "%(count)s files, each checksum is right.", some.length));
    document.documentElement.dataset.downloaded = String(some.length);
  } catch (error) {
    if (/** @type {any} */ (error).name !== "AbortError") showText(problem, sentence(error)); // else: nobody chose a file to save to
  } finally {
    running = null;
    busy(false);
  }
}

/** Say what is kept and what to do. @param {any[]} some @param {import("./download.js").Outcome} outcome */
function unfinished(some, { failed, error }) {
  const kept = some.filter((tile) => verified.has(tile.id)).length;
  const first = error ?? failed[0].error;
  const why = first.code === "store.unavailable" ? _("The store does not answer.") : sentence(first);
  const rest = _("Files verified and kept on this page: %(kept)s of %(all)s.", { kept: number(kept), all: number(some.length) });
  showText(problem, [why, rest].join(" "));
  problem.dataset.code = first.code ?? "";
  const way = permitWay(first.code);
  if (way) problem.append(" ", way);
  showText(
    status,
    failed.length && !error
      ? _("Not come: %(paths)s", {
          paths: failed
            .slice(0, 5)
            .map((one) => one.tile.path)
            .join(", "),
        })
      : "",
  );
  one("#retry").hidden = false;
}

/** @param {boolean} on */
function busy(on) {
  button.disabled = on;
  bar.hidden = one("#stop").hidden = !on;
  if (on) one("#retry").hidden = true;
  window.onbeforeunload = on ? (event) => event.preventDefault() : null;
}

/** How far the order is: addresses given to others, and to the command line, are seen here too. */
async function poll() {
  if (!document.hidden) {
    const found = await get(`/orders/${page.order}/progress`).catch(() => null);
    if (found) {
      const read = number(found.granted);
      one("#read").textContent = n_("%(read)s of %(count)s file", "%(read)s of %(count)s files", found.files, { read });
      one("#step-read").classList.toggle("done", found.granted > 0);
      one("#served").hidden = found.read === null; // null: the store does not tell what it sent
      one("#served").textContent = _("read to the end: %(count)s", { count: number(found.read ?? 0) });
    }
  }
  setTimeout(poll, POLL_MS);
}

/** @param {any} from the button */
async function update(from) {
  try {
    const quote = await post(`/orders/${page.order}/updates/quote`, { added: from.dataset.update === "added" });
    location.assign(`/quotes/${quote.id}`);
  } catch (error) {
    showText(one("#updates-problem"), sentence(error));
  }
}

async function nameUsers() {
  if (one("[name=users][value=some]").checked && !named().length) return; // nobody is ticked yet
  const note = one("#users-status");
  try {
    await call("PUT", `/orders/${page.order}/persons`, { persons: named() });
    note.textContent = _("Saved");
  } catch (error) {
    note.textContent = sentence(error);
  }
}

load().catch((error) => showText(problem, sentence(error)));
