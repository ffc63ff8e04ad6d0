// @ts-check
// Where an organisation that lacks a permit asks for one to be entered.
import { make } from "./dom.js";
import { page } from "./i18n.js";

/** The link under a refusal, or null where a permit would not mend it. @param {string} code */
export const permitWay = (code) =>
  page.role === "member" && page.words.permitWays[code]
    ? make("a.nowrap", { href: "/account/permits/request", "data-permit-way": "" }, page.words.permitWays[code])
    : null;
