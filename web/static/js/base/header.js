// @ts-check
// The header's switches without leaving the page: the theme, and the language with everything that stands in the address.
// And what every page may be asked for: that the person is still there.
import { stale } from "./api.js";
import { all } from "./dom.js";
import { _, word } from "./i18n.js";

const THEMES = ["system", "light", "dark"];
const YEAR = 365 * 86400;

stale.ask = async () => (await import("./confirm.js")).confirmed();

/** @param {string} theme */
export function choose(theme) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${theme}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
  document.documentElement.dataset.theme = theme;
  const label = _("Theme: %(name)s", { name: word("themes", theme) });
  for (const button of all("[data-theme-form] button.theme")) {
    button.value = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    button.title = label;
    button.querySelector(".unseen-text").textContent = label;
  }
  for (const button of all("[data-theme-form] [aria-pressed]")) button.setAttribute("aria-pressed", String(button.value === theme));
}

for (const form of all("[data-theme-form]")) {
  form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    choose(/** @type {HTMLButtonElement} */ (event.submitter).value);
  });
}

for (const link of all("[data-language]")) {
  // The page may have changed its address since it was sent: filters, the view of the map, the area.
  link.addEventListener("click", () => {
    const address = new URL(location.href);
    address.searchParams.set("lang", link.hreflang);
    link.href = address.href;
  });
}
