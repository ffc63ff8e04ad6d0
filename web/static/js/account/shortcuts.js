// @ts-check
// The page of keys: its one switch.
import { offerLetters } from "../base/keys.js";

offerLetters();
document.documentElement.dataset.ready = "yes";
