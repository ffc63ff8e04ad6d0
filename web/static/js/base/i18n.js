// @ts-check
// Words, numbers and money in the language of the page; the server puts the words into the page as JSON.

/** @type {any} */
export const page = JSON.parse(document.getElementById("page-data")?.textContent ?? "{}");

const locale = page.language === "ko" ? "ko-KR" : "en-GB";
const plural = new Intl.PluralRules(locale);
const plain = new Intl.NumberFormat(locale, { maximumFractionDigits: 3 });
const small = new Intl.NumberFormat(locale, { maximumSignificantDigits: 2 });
const krw = new Intl.NumberFormat("ko-KR", { maximumFractionDigits: 0 });

/** The sentence in the page's language; `%(name)s` is replaced by `values.name`.
 * @param {string} text @param {Record<string, string | number>} [values] */
export function _(text, values = {}) {
  const found = page.messages[text] || text;
  return found.replace(/%\((\w+)\)s/g, (/** @type {string} */ all, /** @type {string} */ name) =>
    name in values ? String(values[name]) : all,
  );
}

/** The sentence for one or for many of what is counted; `%(count)s` is the count, written out. Both are sentences, so that they can be
 * found.
 * @param {string} one @param {string} many @param {number} count @param {Record<string, string | number>} [values] */
export function n_(one, many, count, values = {}) {
  const text = plural.select(count) === "one" ? one : many;
  return _(text, { count: number(count), ...values });
}

/** The word of a vocabulary (`kinds`, `units`, ...) for a code. @param {string} table @param {string} code */
export const word = (table, code) => page.words[table]?.[code] ?? code;

/** A number with thousands, as `web.words.numbers.digits` writes it. @param {number} value */
export const digits = (value) => (value && Math.abs(value) < 0.001 ? small : plain).format(value);

const MYRIADS = /** @type {const} */ ([
  [1e12, "조"],
  [1e8, "억"],
  [1e4, "만"],
]);

/** A count: from 10,000 on in 만 and 억 in Korean, without losing a digit, as `web.words.numbers.number` does. @param {number} value */
export function number(value) {
  if (page.language !== "ko" || !Number.isInteger(value) || Math.abs(value) < 1e4) return digits(value);
  return (value < 0 ? "-" : "") + inMyriads(Math.abs(value));
}

/** 256,000 is 25.6만, 12,345 is 1만 2,345. @param {number} count */
function inMyriads(count) {
  const [unit, name] = MYRIADS.find(([one]) => count >= one) ?? [1, ""];
  if (count % (unit / 10) === 0) return `${digits(count / unit)}${name}`;
  let rest = count;
  const parts = [];
  for (const [one, called] of [...MYRIADS, /** @type {const} */ ([1, ""])]) {
    const part = Math.floor(rest / one);
    if (part) parts.push(`${digits(part)}${called}`);
    rest %= one;
  }
  return parts.join(" ");
}

/** So much of a unit: "1.2 lane-km"; Korean counts points, and not millions of them. @param {number} quantity @param {string} unit */
export const measured = (quantity, unit) =>
  unit === "million_points" && page.language === "ko"
    ? _("%(count)s of the points", { count: number(Math.round(quantity * 1e6)) })
    : `${number(quantity)} ${word("units", unit)}`;

/** What a line of a price is made of. @param {{ quantity: number, unit: string, rate: number }} line */
export const charged = ({ quantity, unit, rate }) =>
  unit === "million_points" && page.language === "ko"
    ? _("%(count)s (%(rate)s for each million points)", { count: measured(quantity, unit), rate: won(rate) })
    : `${measured(quantity, unit)} × ${won(rate)}`;

/** Whole KRW. @param {number} value */
export const won = (value) => `${value < 0 ? "-" : ""}₩${krw.format(Math.abs(value))}`;

/** Square kilometres with digits that mean something. @param {number} km2 */
export const area = (km2) => new Intl.NumberFormat(locale, { maximumSignificantDigits: 4 }).format(km2);

/** Ground with digits that mean something: a small one in square metres, and never as nothing. @param {number} m2 */
export function ground(m2) {
  if (m2 < SMALL_M2) return `${m2 < 10 ? significant(Math.max(m2, 0.01), 2) : number(Math.round(m2))} m²`;
  const km2 = m2 / 1e6;
  return `${km2 < 1 ? significant(km2, 2) : number(Number(km2.toFixed(km2 < 100 ? 2 : 0)))} km²`;
}

/** Less ground than this is given in square metres. */
export const SMALL_M2 = 10_000;
/** @param {number} value @param {number} count of digits that count */
const significant = (value, count) => new Intl.NumberFormat(locale, { maximumSignificantDigits: count }).format(value);

/** Bytes, decimal units. @param {number} count */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) [count, at] = [count / 1000, at + 1];
  return `${count.toFixed(at ? 1 : 0)} ${units[at]}`;
}

/** What an error of the API means for people. @param {any} error */
export const sentence = (error) => page.words.errors[error?.code] ?? error?.message ?? String(error);

/** How fresh and how good one kind is, in a few words; "" when nothing is known.
 * @param {number | undefined} age @param {number | undefined} quality */
export function worth(age, quality) {
  const parts = [
    age === undefined ? "" : age < 1 ? _("from today") : n_("%(count)s day old", "%(count)s days old", age),
    quality === undefined ? "" : _("quality %(quality)s of 100", { quality }),
  ];
  return parts.filter(Boolean).join(" · ");
}
