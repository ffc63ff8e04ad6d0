// @ts-check
// Print, or save as PDF.
import { one } from "../base/dom.js";

one("#print").addEventListener("click", () => print());
document.documentElement.dataset.ready = "yes";
