// @ts-check
// One file of an upload as a row: what it is, where it is, how far it is, and what can be done.
import { make, showText } from "../base/dom.js";
import { factsOf, notesOf } from "./facts.js";
import { _, bytes, page, sentence } from "../base/i18n.js";

/** @typedef {{remove: () => void, again: () => void, resume: () => void}} Actions */

export class FileRow {
  /** @param {import("./send.js").Transfer} transfer @param {Actions} actions */
  constructor(transfer, actions) {
    const { name, file } = transfer;
    this.size = make("span.muted.small.nowrap", bytes(file.size));
    this.bar = make("progress", { max: file.size, value: 0, "aria-label": name, hidden: true });
    this.facts = make("p.small.facts-line");
    this.notes = make("ul.plain.small");
    this.problem = make("p.small.warn", { role: "status", hidden: true });
    const button = (/** @type {string} */ text, /** @type {() => void} */ act) =>
      make("button.link", { type: "button", "aria-label": `${text}: ${name}`, onclick: act, hidden: true }, text);
    this.pause = button(_("Pause"), () => transfer.pause());
    this.resume = button(_("Resume"), actions.resume);
    this.again = button(_("Start again"), actions.again);
    this.remove = button(_("Remove"), actions.remove);
    this.element = make(
      "li.file-row",
      make("div.between", make("b", { dir: "auto" }, name), make("span.row-end", this.size, this.remove)),
      this.facts,
      this.notes,
      this.bar,
      this.problem,
      make("div.actions", this.pause, this.resume, this.again),
    );
    this.show(transfer);
  }

  /** @param {import("./sniff/bytes.js").Sniffed} sniffed */
  describe(sniffed) {
    showText(this.facts, factsOf(sniffed).join(" · "));
    this.notes.replaceChildren(...notesOf(sniffed).map((note) => make(note.isDoubt ? "li.warn" : "li.muted", note.text)));
    this.element.dataset.place = sniffed.box ? sniffed.box.join(",") : "";
    this.element.dataset.crs = sniffed.crs;
    this.element.classList.toggle(
      "minor",
      sniffed.notes.some((note) => ["part_of", "track_of", "aside"].includes(note)),
    );
  }

  /** @param {import("./send.js").Transfer} transfer */
  show(transfer) {
    const { state, file, progress, speed, error } = transfer;
    this.element.dataset.state = state;
    this.bar.hidden = state === "ready";
    this.bar.value = progress;
    const isMoving = state === "sending" && speed > 0 && progress < file.size;
    const done =
      state === "ready" ? bytes(file.size) : state === "done" ? `${bytes(file.size)} ✓` : `${bytes(progress)} / ${bytes(file.size)}`;
    this.size.textContent = [
      done,
      ...(isMoving ? [`${bytes(speed)}/s`, timeLeft((file.size - progress) / speed)] : state === "queued" ? [_("waits for its turn")] : []),
    ].join(" · ");
    this.pause.hidden = !["sending", "waiting", "queued"].includes(state);
    this.resume.hidden = !["paused", "failed"].includes(state);
    this.resume.textContent = state === "failed" ? _("Try again") : _("Resume");
    this.again.hidden = state !== "changed";
    this.remove.hidden = ["sending", "waiting"].includes(state);
    showText(this.problem, problemOf(transfer, error));
    this.problem.className = state === "failed" || state === "changed" ? "small error" : "small warn";
  }
}

/** @param {import("./send.js").Transfer} transfer @param {any} error */
function problemOf({ state, file }, error) {
  if (file.size > page.limit) return _("Too large for this exchange.");
  if (state === "changed") return _("The file was replaced while it was being sent. Nothing was mixed: start again with the new one.");
  if (state === "waiting")
    return error?.again
      ? _("A part arrived damaged and is sent again.")
      : `${sentence(error)} ${_("Trying again by itself; nothing is lost.")}`;
  if (state === "failed") return sentence(error);
  return state === "paused" ? _("Paused. What arrived is kept.") : "";
}

/** @param {number} seconds */
function timeLeft(seconds) {
  if (seconds < 90) return _("%(count)s s left", { count: Math.max(1, Math.ceil(seconds)) });
  if (seconds < 5400) return _("%(count)s min left", { count: Math.ceil(seconds / 60) });
  return _("%(count)s h left", { count: (seconds / 3600).toFixed(1) });
}
