// @ts-check
// A short name for a title: Latin letters, digits and hyphens. Korean is written letter by letter (Revised Romanisation, without the
// changes of sounds where syllables meet): a proposal, which the seller may change.
const FIRST = "g kk n d tt r m b pp s ss  j jj ch k t p h".split(" ");
const VOWELS = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i".split(" ");
const LAST = " k k k n n n t l k m l l l p l m p p t t ng t t k t p t".split(" ");
const HANGUL = 0xac00;
const LONGEST = 63;

/** @param {string} title */
export function slugOf(title) {
  return title
    .normalize("NFC")
    .replace(/[가-힣]/g, syllable)
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, LONGEST)
    .replace(/-+$/, "");
}

/** @param {string} letter of Hangul */
function syllable(letter) {
  const at = letter.charCodeAt(0) - HANGUL;
  return FIRST[Math.floor(at / 588)] + VOWELS[Math.floor((at % 588) / 28)] + LAST[at % 28];
}
