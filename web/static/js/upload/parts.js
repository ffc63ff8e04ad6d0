// @ts-check
// Parts of a file on their way: read and hashed, put into the store with progress, and patience with lines that break.
import { _ } from "../base/i18n.js";

/** Headers that a browser sets itself and does not let a page set. */
const OWN = new Set(["content-length", "host"]);
const LONGEST_WAIT_MS = 15_000;

/** Thrown when sending was paused by the reader. */
export class Paused extends Error {}

/** Lets a fixed number of things run at once. */
export class Lanes {
  /** @param {number} count */
  constructor(count) {
    this.free = count;
    /** @type {(() => void)[]} */
    this.queue = [];
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  async run(work) {
    if (this.free) this.free -= 1;
    else await new Promise((resolve) => this.queue.push(() => resolve(null)));
    try {
      return await work();
    } finally {
      const next = this.queue.shift();
      next ? next() : (this.free += 1);
    }
  }
}

/** Whether an error goes away by waiting: no answer, or a server that says that its store does not answer. @param {any} error */
const passes = (error) =>
  error.again || error.code === "network" || error.code === "upload.network" || error.status === 429 || error.status >= 500;

/** Do a step again and again while only the line is broken. @template T @param {() => Promise<T>} step
 * @param {AbortSignal} signal @param {(error: any) => void} onWait @returns {Promise<T>} */
export async function patiently(step, signal, onWait) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await step();
    } catch (/** @type {any} */ error) {
      if (signal.aborted) throw new Paused();
      if (!passes(error)) throw error;
      onWait(error);
      await pauseFor(error.again ? 0 : Math.min(LONGEST_WAIT_MS, 500 * 2 ** attempt), signal);
    }
  }
}

/** Wait, but no longer than until the network is back or the reader pauses. @param {number} ms @param {AbortSignal} signal */
function pauseFor(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve(null);
    }
    addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

/** @param {File} file @param {number} from @param {number} size */
export async function slice(file, from, size) {
  const body = await file.slice(from, from + size).arrayBuffer();
  if (body.byteLength !== size) throw new RangeError("the file is shorter than it was");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return { body, sha256: [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

/** Put a part where its signed request says. @param {any} part @param {ArrayBuffer} body @param {AbortSignal} signal
 * @param {(count: number) => void} progress @returns {Promise<void>} */
export function put(part, body, signal, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch reports nothing of what was sent
    request.open(part.method, part.url);
    for (const [name, value] of Object.entries(part.headers))
      if (!OWN.has(name.toLowerCase())) request.setRequestHeader(name, /** @type {string} */ (value));
    request.upload.onprogress = (event) => progress(event.loaded);
    const abort = () => request.abort();
    const fail = () =>
      reject(
        signal.aborted ? new Paused() : { code: "upload.network", message: _("The store does not answer. Parts that arrived are kept.") },
      );
    request.onload = () => {
      if (request.status < 300) return resolve();
      reject({
        code: "upload.refused",
        status: request.status,
        message: _("The store refused a part (%(status)s).", { status: request.status }),
      });
    };
    request.onerror = request.ontimeout = request.onabort = fail;
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.send(body);
  });
}
