// @ts-check
// Downloads of bought tiles: grants in small batches, a few files at once, each compared with its promised sha256 before it counts.
import { post } from "../base/api.js";
import { _ } from "../base/i18n.js";
import { crc32 } from "./zip.js";

/** Files of one call for grants: an address lives for two minutes only. */
const BATCH = 12;
const BATCH_BYTES = 200e6;
/** Files at once; large ones alone, so that memory holds a few small files or one large one. */
const AT_ONCE = 4;
const LARGE = 100e6;
const TRIES = 2;
/** Answers that the store owes in a row until it counts as away. */
const AWAY = 4;

/** @typedef {{tile: any, path: string, size: number, crc: number, body: Blob}} File */
/** @typedef {{failed: {tile: any, error: any}[], error: any}} Outcome `error`: why everything stopped, or null */

/** Fetch files; what is verified is handed over at once and not fetched again by whoever keeps it.
 * @param {string} order @param {any[]} wanted
 * @param {{signal: AbortSignal, got: (count: number) => void, take: (file: File) => void | Promise<void>}} to
 * @returns {Promise<Outcome>} */
export async function fetchAll(order, wanted, { signal, got, take }) {
  /** @type {Outcome["failed"]} */
  const failed = [];
  let silent = 0;
  for (const batch of batches(wanted)) {
    // Original footage is bound to a secret that only this page knows and sends as a header: a copied address is worth nothing.
    const holder = hex(crypto.getRandomValues(new Uint8Array(32)));
    let waiting;
    try {
      waiting = (await post("/grants", { order, tiles: batch.map((tile) => tile.id), holder }, { signal })).grants;
    } catch (error) {
      return { failed, error: signal.aborted ? stopped() : error };
    }
    const byId = new Map(batch.map((tile) => [tile.id, tile]));
    const work = async () => {
      for (let grant = waiting.shift(); grant && silent < AWAY && !signal.aborted; grant = waiting.shift()) {
        const tile = byId.get(grant.tile_id);
        try {
          await take(await fetchOne(grant, tile, holder, signal, got));
          silent = 0;
        } catch (error) {
          if (signal.aborted) return;
          if (/** @type {any} */ (error).code === "store.unavailable") silent++;
          failed.push({ tile, error });
        }
      }
    };
    await Promise.all(Array.from({ length: batch.some((tile) => tile.size > LARGE) ? 1 : AT_ONCE }, work));
    if (signal.aborted) return { failed, error: stopped() };
    if (silent >= AWAY) return { failed, error: { code: "store.unavailable" } };
  }
  return { failed, error: null };
}

const stopped = () => ({ code: "download.stopped", message: _("Stopped.") });

/** @param {any[]} wanted @returns {any[][]} */
function batches(wanted) {
  /** @type {any[][]} */
  const made = [];
  let size = 0;
  for (const tile of wanted) {
    if (!made.length || made[made.length - 1].length >= BATCH || size + tile.size > BATCH_BYTES) {
      made.push([]);
      size = 0;
    }
    made[made.length - 1].push(tile);
    size += tile.size;
  }
  return made;
}

/** @param {any} grant @param {any} tile @param {string} holder @param {AbortSignal} signal @param {(count: number) => void} got
 * @returns {Promise<File>} */
async function fetchOne(grant, tile, holder, signal, got) {
  const headers = { ...grant.headers, ...(grant.holder_required ? { "x-mapex-holder": holder } : {}) };
  for (let left = TRIES; ;) {
    let came = 0;
    try {
      const body = await read(grant, headers, tile, signal, (count) => ((came += count), got(count)));
      const bytes = new Uint8Array(await body.arrayBuffer());
      if (hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))) !== grant.sha256)
        throw { code: "download.altered", message: _("%(path)s did not arrive as it was sold. Try again.", { path: tile.path }) };
      return { tile, path: tile.path, size: bytes.length, crc: crc32(bytes), body };
    } catch (error) {
      got(-came);
      if (signal.aborted || !--left) throw error;
    }
  }
}

/** @param {any} grant @param {Record<string, string>} headers @param {any} tile @param {AbortSignal} signal
 * @param {(count: number) => void} got @returns {Promise<Blob>} */
async function read(grant, headers, tile, signal, got) {
  let answer;
  try {
    answer = await fetch(grant.url, { method: grant.method, headers, credentials: "omit", cache: "no-store", signal });
  } catch (error) {
    throw signal.aborted ? error : { code: "store.unavailable" };
  }
  if (answer.status >= 500) throw { code: "store.unavailable" };
  if (!answer.ok || !answer.body)
    throw { code: "download.refused", message: _("The store refused %(path)s (%(status)s).", { path: tile.path, status: answer.status }) };
  /** @type {BlobPart[]} */
  const parts = [];
  const reader = answer.body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      got(part.value.length);
    }
  } catch (error) {
    throw signal.aborted ? error : { code: "store.unavailable" };
  }
  return new Blob(parts, { type: tile.media_type });
}

/** @param {Uint8Array} raw */
const hex = (raw) => [...raw].map((byte) => byte.toString(16).padStart(2, "0")).join("");
