// @ts-check
// What asks for a fresh second factor: a dialog over the page, so that nothing that was typed is lost. Fetched when needed.
import { post } from "./api.js";
import { make, showText } from "./dom.js";
import { _, sentence } from "./i18n.js";
import { answered, hasPasskeys } from "./passkey.js";

/** Ask the person to show that it is still there. @returns {Promise<boolean>} whether it did */
export function confirmed() {
  return new Promise((resolve) => {
    let is = false;
    const problem = make("p.error", { role: "alert", hidden: true });
    const code = make("input", { name: "code", autocomplete: "one-time-code", maxLength: 64, required: true });
    /** @param {() => Promise<any>} prove */
    const attempt = async (prove) => {
      showText(problem, "");
      try {
        await prove();
        is = true;
        dialog.close();
      } catch (error) {
        showText(problem, sentence(error));
      }
    };
    const passkey = make(
      "button",
      { type: "button", hidden: !hasPasskeys(), onclick: () => attempt(() => answered("/api/passkeys/confirm")) },
      _("Use a passkey"),
    );
    const form = make(
      "form.stack",
      { method: "dialog" },
      make("h2", _("Confirm that it is you")),
      make("label", _("Code of the app, or a recovery code"), code),
      problem,
      make(
        "p.actions",
        make("button.primary", _("Confirm")),
        passkey,
        make("button", { type: "button", onclick: () => dialog.close() }, _("Cancel")),
      ),
    );
    const dialog = /** @type {HTMLDialogElement} */ (make("dialog.confirm", { "aria-label": _("Confirm that it is you") }, form));
    form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      attempt(() => post("/api/passkeys/confirm/code", { code: code.value }));
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(is);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
