// @ts-check
// Elements without HTML text: what others wrote only ever becomes text.

/** @param {string} selector @param {ParentNode} [root] @returns {any} */
export const one = (selector, root = document) => root.querySelector(selector);

/** @param {string} selector @param {ParentNode} [root] @returns {any[]} */
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/** A new element: `make("p.error", "text")`, `make("a", {href: "/"}, "text", child)`.
 * @param {string} tag @param {...any} parts @returns {any} */
export function make(tag, ...parts) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  made.classList.add(...classes);
  for (const part of parts.flat()) {
    if (part === null || part === undefined || part === false) continue;
    if (part instanceof Node) made.append(part);
    else if (typeof part === "object") for (const [key, value] of Object.entries(part)) set(made, key, value);
    else made.append(String(part));
  }
  return made;
}

/** @param {HTMLElement} element @param {string} key @param {any} value */
function set(element, key, value) {
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (typeof value === "boolean") element.toggleAttribute(key, value);
  else element.setAttribute(key, value);
}

/** Show a text in an element, or hide the element. @param {HTMLElement} element @param {string} text */
export function showText(element, text) {
  element.textContent = text;
  element.hidden = !text;
}
