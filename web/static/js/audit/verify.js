// @ts-check
// "Verify the log": the buttons, the bar and the worker behind them. A checkpoint is kept here, when the worker is done, or not at all.
import { keep, kept, readable, save } from "./checkpoint.js";
import { make, one } from "../base/dom.js";
import { _, digits, sentence } from "../base/i18n.js";
import { facts, isIntact, reportOf } from "./report.js";

/** @typedef {import("./merkle.js").Checkpoint} Checkpoint */
/** @typedef {import("./proof.js").Proof} Proof */

const result = one("#verify-result"),
  button = one("#verify-now"),
  chosen = one("#verify-load"),
  saving = one("#verify-save");
/** Ends the worker that runs. */
let running = new AbortController();

/** What a worker of its own proves, so that the page stays at hand. @param {Checkpoint | null} before @param {AbortSignal} signal
 * @returns {Promise<Proof>} */
const proved = (before, signal) =>
  new Promise((resolve, reject) => {
    if (!globalThis.crypto?.subtle) throw new Error(_("This browser computes no checksums on pages without https."));
    const worker = new Worker(new URL("./verifier.js", import.meta.url), { type: "module" });
    signal.addEventListener("abort", () => (worker.terminate(), reject(signal.reason)));
    worker.addEventListener("error", () =>
      reject(
        new Error(
          [
            _("Nothing was verified: this browser did not start the part of the page that computes."),
            _("Load the page again, or use another browser."),
          ].join(" "),
        ),
      ),
    );
    worker.addEventListener("message", ({ data }) =>
      data.progress ? show(data.progress) : data.proof ? resolve(data.proof) : reject(data.problem),
    );
    worker.postMessage({ before });
  });

/** @param {import("./proof.js").Progress} progress */
function show({ seq, head }) {
  one("#verify-progress").value = head ? seq / head : 1;
  one("#verify-count").textContent = _("Entry %(seq)s of %(head)s", { seq: digits(seq), head: digits(head) });
}

/** @param {boolean} isRunning */
function turn(isRunning) {
  const hadFocus = [button, one("#verify-cancel")].includes(document.activeElement);
  one("#verify-running").hidden = !isRunning;
  button.disabled = chosen.disabled = isRunning;
  saving.disabled = isRunning || !kept();
  if (hadFocus) (isRunning ? one("#verify-cancel") : button).focus();
}

/** @param {Checkpoint | null} before what to compare with @param {boolean} isFile */
async function verify(before, isFile) {
  const began = performance.now();
  running = new AbortController();
  one("#verify-progress").value = 0;
  one("#verify-count").textContent = _("Loading …");
  conclude("", []);
  turn(true);
  try {
    const proof = await proved(before, running.signal);
    // A checkpoint that caught something is evidence: it is never written over.
    if (isIntact(proof)) keep(proof.now);
    conclude(isIntact(proof) ? "intact" : "broken", [
      ...reportOf(proof, before, isFile),
      facts(proof.now, ((performance.now() - began) / 1000).toFixed(1)),
    ]);
  } catch (error) {
    if (running.signal.aborted)
      conclude("cancelled", [
        make("p.warn", _("Cancelled: this says nothing about the log. The checkpoint that this browser keeps is as it was.")),
      ]);
    else conclude("failed", [make("p.error", { role: "alert" }, sentence(error))]);
  } finally {
    running.abort(); // a worker that is done has no more to do
    turn(false);
  }
}

/** @param {string} state @param {HTMLElement[]} report */
function conclude(state, report) {
  if (state) result.dataset.state = state;
  else delete result.dataset.state;
  result.replaceChildren(...report);
}

/** @param {any} event */
async function compare({ target }) {
  const [file] = target.files;
  const given = file && readable(await file.text());
  target.value = "";
  if (given) await verify(given, true);
  else conclude("", [make("p.error", { role: "alert" }, _("This file is no checkpoint of a log."))]);
}

/** The button, the file that is saved, the file that is compared with. */
export function install() {
  turn(false);
  button.addEventListener("click", () => verify(kept(), false));
  one("#verify-cancel").addEventListener("click", () => running.abort());
  addEventListener("pagehide", () => running.abort()); // a page that is come back to says so, instead of standing still
  saving.addEventListener("click", () => {
    const checkpoint = kept();
    if (checkpoint) save(checkpoint);
  });
  chosen.addEventListener("change", compare);
}
