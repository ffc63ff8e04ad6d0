// @ts-check
// Where downloaded files go: into one archive that is written straight to a file where the browser can, else kept and handed over whole.
import { get } from "../base/api.js";
import { make } from "../base/dom.js";
import { page } from "../base/i18n.js";
import { Archive, crc32 } from "./zip.js";

/** Above this an archive is written straight to a file, if the browser can. */
export const LARGE = 300e6;
/** Above this a browser that cannot is asked to use the command line. */
const MOST_KEPT = 1.5e9;

/** @typedef {import("./download.js").File} File */
/** What was verified so far, by id of the tile; files that are in an open archive already have no body. @type {Map<string, any>} */
export const verified = new Map();

const picker = /** @type {any} */ (window).showSaveFilePicker;

/** Whether a download of this size can be done here. @param {number} size */
export const fits = (size) => size <= MOST_KEPT || Boolean(picker);

/** A sink for files that becomes one archive. It asks where to save, so call it from a click.
 * @param {number} size @param {string} name
 * @returns {Promise<{take: (file: File) => Promise<void>, end: (tiles: any[]) => Promise<void>, drop: () => Promise<void>}>} */
export async function archiveTo(size, name) {
  if (size > LARGE && picker) return streamed(await picker.call(window, { suggestedName: name }));
  return {
    take: async (file) => void verified.set(file.tile.id, file),
    end: async (tiles) => {
      /** @type {BlobPart[]} */
      const parts = [];
      const archive = new Archive((part) => void parts.push(part));
      for (const tile of tiles) await archive.add(verified.get(tile.id));
      for (const entry of await beside(tiles)) await archive.add(entry);
      await archive.end();
      save(new Blob(parts, { type: "application/zip" }), name);
    },
    drop: async () => undefined,
  };
}

/** @param {any} handle of a file that the reader chose */
async function streamed(handle) {
  const writable = await handle.createWritable();
  const archive = new Archive((part) => writable.write(part));
  let turn = Promise.resolve();
  return {
    /** One after the other, and out of memory then. @param {File} file */
    take: async (file) => {
      turn = turn.then(() => archive.add(file));
      await turn;
      verified.set(file.tile.id, { ...file, body: null });
    },
    /** @param {any[]} tiles */
    end: async (tiles) => {
      for (const entry of await beside(tiles)) await archive.add(entry);
      await archive.end();
      await writable.close();
      verified.clear();
    },
    drop: async () => {
      await writable.abort();
      verified.clear();
    },
  };
}

/** What is put beside the files: README, licences, and the manifest that lists all. @param {any[]} tiles */
async function beside(tiles) {
  /** @type {any[]} */
  const texts = (await get(`/orders/${page.order}/enclosures`)).enclosures;
  const listed = texts.map(({ path, sha256, size }) => ({ path, sha256, size }));
  return [...texts.map((one) => entry(one.path, one.text)), entry("_manifest.json", manifest(tiles, listed))];
}

/** A text as a file of an archive. @param {string} path @param {string} text */
function entry(path, text) {
  const body = new TextEncoder().encode(text);
  return { path, size: body.length, crc: crc32(body), body: new Blob([body]) };
}

/** What was downloaded, with licence, attribution and checksums, as `mapex get` writes it. @param {any[]} tiles
 * @param {any[]} enclosures */
function manifest(tiles, enclosures) {
  const names = ["path", "sha256", "size", "dataset", "org", "version", "layer", "tile", "part", "media_type", "licence", "attribution"];
  const files = tiles.map((tile) => Object.fromEntries(names.map((name) => [name, tile[name]])));
  /** @param {string} name */
  const each = (name) => [...new Set(tiles.map((tile) => tile[name]))].filter(Boolean).sort();
  /** @param {any} one */
  const place = (one) => [one.org, one.dataset, one.version, one.layer].join("/");
  const there = new Set(tiles.map(place));
  /** @type {any[]} */
  const layers = (page.layers ?? []).filter((/** @type {any} */ one) => there.has(place(one)));
  const about = { order: page.order, purpose: page.purpose, licence: each("licence"), attribution: each("attribution") };
  return JSON.stringify({ ...about, layers, enclosures, files }, null, 1);
}

/** @param {Blob} body @param {string} name */
export function save(body, name) {
  const link = make("a", { href: URL.createObjectURL(body), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
