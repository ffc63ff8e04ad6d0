// @ts-check
// Buttons with `data-preview` ("ORG/DATASET/VERSION/LAYER", version and layer may be empty) or `data-preview-kind` open the preview; its
// code is fetched at the first click.
import { make } from "../base/dom.js";
import { _, page } from "../base/i18n.js";

document.addEventListener("click", async (event) => {
  const button = /** @type {any} */ (event.target).closest?.("[data-preview], [data-preview-kind]");
  if (!button) return;
  event.preventDefault();
  const { openPreview } = await import("./dialog.js");
  await openPreview(button.dataset.preview ?? "", button.dataset.previewKind ?? "");
});

/** The button, or null for visitors, who see no samples. @param {string} of what `data-preview` says */
export const previewButton = (of) => (page.signedIn ? make("button.link", { type: "button", "data-preview": of }, _("Preview")) : null);
