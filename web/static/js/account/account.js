// @ts-check
// Tokens: made (shown once) and revoked.
import { call, post } from "../base/api.js";
import { all, one, showText } from "../base/dom.js";
import { sentence } from "../base/i18n.js";

one("#new-token").addEventListener("submit", async (/** @type {any} */ event) => {
  event.preventDefault();
  const given = new FormData(event.target);
  const scopes = given.get("width") === "all" ? ["*"] : given.getAll("scope").map(String);
  showText(one("#problem"), "");
  try {
    const made = await post("/tokens", { name: String(given.get("name")), days: Number(given.get("days")), scopes });
    one("#secret").textContent = made.token;
    one("#made").hidden = false;
  } catch (error) {
    showText(one("#problem"), sentence(error));
  }
});

for (const button of all("[data-revoke]")) {
  button.addEventListener("click", async () => {
    try {
      await call("DELETE", `/tokens/${button.dataset.revoke}`);
      button.closest("tr").remove();
    } catch (error) {
      showText(one("#problem"), sentence(error));
    }
  });
}
for (const box of all("[name=scope]")) box.addEventListener("change", () => (one("[name=width][value=some]").checked = true));
document.documentElement.dataset.ready = "";
