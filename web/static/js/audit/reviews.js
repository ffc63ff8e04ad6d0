// @ts-check
// Reviews of footage: an operator takes a request up, reads tiles of it one by one, and enters what the reviewers decided.
import { post } from "../base/api.js";
import { all, make, one, showText } from "../base/dom.js";
import { _, sentence } from "../base/i18n.js";

/** @param {any} article @param {any} button @param {() => Promise<any>} request */
async function submit(article, button, request) {
  const problem = one("[data-problem]", article);
  showText(problem, "");
  button.disabled = true;
  try {
    await request();
    location.reload();
  } catch (error) {
    button.disabled = false;
    showText(problem, sentence(error));
  }
}

/** Lines of `name, organisation`. @param {string} text */
function reviewersOf(text) {
  const lines = text.split("\n").filter((line) => line.trim());
  return lines.map((line) => {
    const at = line.lastIndexOf(",");
    return { name: (at < 0 ? line : line.slice(0, at)).trim(), organisation: at < 0 ? "" : line.slice(at + 1).trim() };
  });
}

/** 32 random letters: what the reader of this page holds, and nobody who sees the address. */
function nonce() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Read a tile and hand it to the person. @param {any} article */
async function look(article) {
  const says = one("[data-looked]", article);
  const holder = nonce();
  try {
    const tile = Number(one('[name="tile"]', article).value);
    const found = await post(`/reviews/${article.dataset.review}/look`, { tile, holder });
    const answer = await fetch(found.url, { headers: { ...found.headers, "x-mapex-holder": holder } });
    if (!answer.ok) throw Object.assign(new Error(String(answer.status)), { code: "download.refused" });
    const link = make("a", { href: URL.createObjectURL(await answer.blob()), download: found.name });
    link.click();
    says.textContent = _("Read: %(name)s. It is in the log.", { name: found.name });
  } catch (error) {
    says.textContent = sentence(/** @type {any} */ (error));
  }
}

for (const article of all("[data-review]")) {
  const path = `/reviews/${article.dataset.review}`;
  one("[data-begin]", article)?.addEventListener("click", (/** @type {any} */ event) =>
    submit(article, event.target, () => post(`${path}/begin`)),
  );
  one("[data-look]", article)?.addEventListener("click", () => look(article));
  one("[data-decides]", article)?.addEventListener("submit", (/** @type {any} */ event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const day = String(given.get("valid_to"));
    const decision = {
      accepted: event.submitter.value === "yes",
      reviewers: reviewersOf(String(given.get("reviewers"))),
      criteria: given.getAll("criteria"),
      residual_risk: given.get("residual_risk"),
      reasons: given.get("reasons"),
      valid_to: day ? `${day}T23:59:59+09:00` : null,
    };
    submit(article, event.submitter, () => post(`${path}/decision`, decision));
  });
}
document.documentElement.dataset.ready = "yes";
