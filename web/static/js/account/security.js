// @ts-check
// The page of one's sign-in: a new passkey. All else are plain forms.
import { one, showText } from "../base/dom.js";
import { sentence } from "../base/i18n.js";
import { added, hasPasskeys } from "../base/passkey.js";

const button = one("[data-passkey=new]");
const problem = one("#passkey-problem");

if (button && hasPasskeys()) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    showText(problem, "");
    button.setAttribute("aria-busy", "true");
    try {
      await added();
      location.reload();
    } catch (error) {
      showText(problem, sentence(error));
    }
    button.removeAttribute("aria-busy");
  });
}
document.documentElement.dataset.ready = "";
