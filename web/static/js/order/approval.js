// @ts-check
// Asking for approval of a quote, refusing a request, withdrawing the own one; the page then shows what has become of it.
import { post } from "../base/api.js";
import { one, showText } from "../base/dom.js";
import { page, sentence } from "../base/i18n.js";
import { named } from "./users.js";

/** Send what a form gives, once. @param {HTMLFormElement | null} form @param {(given: FormData) => Promise<any>} act */
function onSubmit(form, act) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = one("button", form);
    if (button.disabled) return;
    button.disabled = true;
    try {
      await act(new FormData(form));
      location.reload();
    } catch (error) {
      button.disabled = false;
      showText(one("[data-problem]", form), sentence(error));
    }
  });
}

onSubmit(one("#ask"), (given) => post("/approvals", { quote: page.quote, note: String(given.get("note")), persons: named() }));
onSubmit(one("#close"), (given) =>
  post(`/approvals/${one("#asked").dataset.approval}/close`, { reason: String(given.get("reason") ?? "") }),
);
