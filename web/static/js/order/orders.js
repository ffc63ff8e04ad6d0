// @ts-check
// The list of orders: what the newer tiles of each outdated order cost, asked when the page is there already.
import { get } from "../base/api.js";
import { one } from "../base/dom.js";
import { page, won } from "../base/i18n.js";

for (const id of page.outdated) {
  const found = await get(`/orders/${id}/updates`).catch(() => null);
  if (found?.total !== null && found) one(`[data-order="${id}"] .cost`).textContent = won(found.total);
}
document.documentElement.dataset.ready = "yes";
