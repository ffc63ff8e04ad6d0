// @ts-check
// The JSON API from a page: session cookie, secret against forged requests, errors as objects.
import { _, page } from "./i18n.js";

/** Asks the person to show that it is still there, where that is what is missing; `header.js` sets it.
 * @type {{ask: () => Promise<boolean>}} */
export const stale = { ask: async () => false };

/** An error of the API: `code`, `message`, `details`, `status`. */
export class ApiError extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.message ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.code ?? "internal";
    this.details = body?.details ?? {};
  }
}

/** @param {string} method @param {string} path @param {any} [body]
 * @param {{signal?: AbortSignal, headers?: Record<string, string>, again?: boolean, keepalive?: boolean}} [more] @returns {Promise<any>} */
export async function call(method, path, body, more = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", ...more.headers };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRF-Token"] = page.csrf;
  let response;
  try {
    response = await fetch(path.startsWith("/api/") ? path : `/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: more.signal,
      keepalive: more.keepalive,
      credentials: "same-origin",
    });
  } catch (error) {
    if (/** @type {any} */ (error).name === "AbortError") throw error;
    throw new ApiError(0, { code: "network", message: _("No answer from the server. What you did is kept.") });
  }
  const answer =
    response.status === 204 ? null : await response.json().catch((error) => (error.name === "AbortError" ? Promise.reject(error) : null));
  if (response.ok) return answer;
  if (answer?.code === "session.stale" && !more.again && (await stale.ask())) {
    return call(method, path, body, { ...more, again: true });
  }
  throw new ApiError(response.status, answer);
}

/** @param {string} path @param {any} [more] */
export const get = (path, more) => call("GET", path, undefined, more);
/** @param {string} path @param {any} [body] @param {any} [more] */
export const post = (path, body = {}, more = undefined) => call("POST", path, body, more);
