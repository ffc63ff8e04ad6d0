// @ts-check
// The worker of "Verify the log": given what to compare with, it reports how far it is and then what it proved, or what stopped it.
import { prove } from "./proof.js";

/** @typedef {{progress: import("./proof.js").Progress} | {proof: import("./proof.js").Proof}
 *   | {problem: {code?: string, message: string}}} Message */

/** What the API answers; words for its errors belong to the page. @param {string} path @returns {Promise<any>} */
async function read(path) {
  const response = await fetch(`/api/v1${path}`, { headers: { Accept: "application/json" } }).catch(() =>
    Promise.reject({ code: "network", message: "" }),
  );
  const answer = await response.json().catch(() => null);
  if (!response.ok || !answer) throw { code: answer?.code ?? "internal", message: answer?.message ?? `HTTP ${response.status}` };
  return answer;
}

/** @param {Message} message */
const post = (message) => self.postMessage(message);

self.addEventListener("message", async ({ data }) => {
  try {
    post({ proof: await prove(read, data.before, (progress) => post({ progress })) });
  } catch (error) {
    const { code, message = String(error) } = /** @type {any} */ (error);
    post({ problem: { code, message } });
  }
});
