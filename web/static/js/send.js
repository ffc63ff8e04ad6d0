// @ts-check
// One file to the store in parts: hashed here, signed by the exchange, sent straight to the store; goes on where it stopped.
import { get, post } from "./api.js";
import { _, page } from "./i18n.js";

const AT_ONCE = 3;
const TRIES = 4;
const SIGNED_AT_ONCE = 6;
/** Headers that a browser sets itself and does not let a page set. */
const OWN = new Set(["content-length", "host"]);

/** Thrown when sending was paused by the reader. */
export class Paused extends Error {}

/** Send a file; resolves to the upload's id. @param {File} file @param {string} name
 * @param {{signal: AbortSignal, onProgress: (sent: number) => void}} how */
export async function send(file, name, { signal, onProgress }) {
  const upload = await begun(file, name);
  const received = new Set(upload.received ?? []);
  const missing = Array.from({ length: upload.parts }, (_unused, i) => i + 1).filter((number) => !received.has(number));
  /** @param {number} number */
  const sizeOf = (number) => Math.min(upload.part_size, file.size - (number - 1) * upload.part_size);
  let sent = [...received].reduce((sum, number) => sum + sizeOf(Number(number)), 0);
  /** @type {Map<number, number>} bytes under way by part */
  const underway = new Map();
  const tell = () => onProgress(sent + [...underway.values()].reduce((sum, count) => sum + count, 0));
  tell();
  if (upload.state !== "complete") {
    while (missing.length) {
      const group = missing.splice(0, SIGNED_AT_ONCE);
      const bodies = await Promise.all(group.map((number) => slice(file, (number - 1) * upload.part_size, sizeOf(number))));
      const { parts } = await post(`/uploads/${upload.id}/parts`, { parts: group.map((number, i) => ({ number, size: sizeOf(number), sha256: bodies[i].sha256 })) });
      const waiting = parts.map((/** @type {any} */ part, /** @type {number} */ i) => ({ part, body: bodies[i].body }));
      const work = async () => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          const { part, body } = next;
          await put(part, body, signal, (count) => (underway.set(part.number, count), tell()));
          underway.delete(part.number);
          sent += body.byteLength;
          tell();
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    }
    await post(`/uploads/${upload.id}/complete`);
  }
  localStorage.removeItem(keyOf(file, name));
  return upload.id;
}

/** The upload that was begun for this file before, or a new one. @param {File} file @param {string} name */
async function begun(file, name) {
  const key = keyOf(file, name);
  const known = localStorage.getItem(key);
  if (known) {
    const found = await get(`/uploads/${known}`).catch(() => null);
    if (found && found.size === file.size && found.state !== "aborted") return found;
  }
  const upload = await post("/uploads", { name, size: file.size });
  localStorage.setItem(key, upload.id);
  return upload;
}

/** @param {File} file @param {string} name */
const keyOf = (file, name) => `upload ${page.org ?? ""} ${name} ${file.size} ${file.lastModified}`;

/** @param {File} file @param {number} from @param {number} size */
async function slice(file, from, size) {
  const body = await file.slice(from, from + size).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return { body, sha256: [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

/** Send one part, again after a lost connection. @param {any} part @param {ArrayBuffer} body @param {AbortSignal} signal @param {(count: number) => void} progress */
async function put(part, body, signal, progress) {
  for (let attempt = 1; ; attempt++) {
    if (signal.aborted) throw new Paused();
    try {
      return await once(part, body, signal, progress);
    } catch (error) {
      if (signal.aborted) throw new Paused();
      if (attempt === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
    }
  }
}

/** @param {any} part @param {ArrayBuffer} body @param {AbortSignal} signal @param {(count: number) => void} progress @returns {Promise<void>} */
function once(part, body, signal, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing about what was sent
    request.open(part.method, part.url);
    for (const [name, value] of Object.entries(part.headers)) if (!OWN.has(name.toLowerCase())) request.setRequestHeader(name, /** @type {string} */ (value));
    request.upload.onprogress = (event) => progress(event.loaded);
    const fail = () => (progress(0), reject({ code: "upload.network", message: _("The connection to the store broke. Parts that arrived are kept.") }));
    request.onload = () => (request.status < 300 ? resolve() : (progress(0), reject({ code: "upload.refused", message: _("The store refused a part (%(status)s).", { status: request.status }) })));
    request.onerror = request.ontimeout = request.onabort = fail;
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}
