// @ts-check
// The page of keys: its one switch.
import { offerLetters } from "./keys.js";

offerLetters();
document.documentElement.dataset.ready = "yes";
