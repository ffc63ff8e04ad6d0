// @ts-check
// Notices: read one by one or all, and how each kind comes. Whoever follows a notice has read it.
import { call, post } from "../base/api.js";
import { all, one, showText } from "../base/dom.js";
import { _, sentence } from "../base/i18n.js";

/** @param {any} body */
async function read(body) {
  try {
    await post("/notices/read", body);
    location.reload();
  } catch (error) {
    showText(one("#problem"), sentence(error));
  }
}

one("[data-read-all]")?.addEventListener("click", () => read({}));
for (const button of all("[data-read]")) button.addEventListener("click", () => read({ notices: [button.dataset.read] }));
for (const link of all("[data-reads]")) {
  // The page leaves at once: the request goes on without it, and what it answers is of no use any more.
  link.addEventListener("click", () => void post("/notices/read", { notices: [link.dataset.reads] }, { keepalive: true }).catch(() => {}));
}
for (const choice of all("[data-way]")) {
  choice.addEventListener("change", async () => {
    showText(one("#ways-problem"), "");
    one("#ways-saved").textContent = "";
    try {
      await call("PUT", "/notices/ways", { ways: { [choice.name]: choice.value } });
      one("#ways-saved").textContent = _("Saved.");
    } catch (error) {
      showText(one("#ways-problem"), sentence(error));
    }
  });
}
document.documentElement.dataset.notices = document.documentElement.dataset.ready = "";
