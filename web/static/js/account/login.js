// @ts-check
// Signing in by a passkey, and confirming by one; the password needs no script.
import { one, showText } from "../base/dom.js";
import { page, sentence } from "../base/i18n.js";
import { answered, hasPasskeys } from "../base/passkey.js";

page.csrf ||= one("[name=csrf_token]").value; // before signing in only forms have one
const button = one("[data-passkey]");
const problem = one("#passkey-problem");

if (button && hasPasskeys()) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    showText(problem, "");
    button.setAttribute("aria-busy", "true");
    try {
      await answered(`/api/passkeys/${button.dataset.passkey}`, page.ticket ? { ticket: page.ticket } : {});
      location.assign(page.next);
    } catch (error) {
      showText(problem, sentence(error));
    }
    button.removeAttribute("aria-busy");
  });
}
document.documentElement.dataset.ready = "";
