// @ts-check
// A table as text (CSV): its encoding, delimiter and columns, and whether the names tell which of them are the place.
import { sniffed, view } from "./bytes.js";

const HEAD = 1 << 18;
const DELIMITERS = [",", ";", "\t", "|"];
// As `ingest/readers/sheets/columns.py`
const PAIRS = [
  [
    /^(lon|lng|long|longitude|경도|wgs84경도|경도wgs84|gpslongitude|lonwgs84|wgs84lon)$/,
    /^(lat|latitude|위도|wgs84위도|위도wgs84|gpslatitude|latwgs84|wgs84lat)$/,
  ],
  [
    /^(x|x좌표|좌표x|좌표정보x|easting|tmx|utmx|utmkx|xcoord|coordx|pointx)$/,
    /^(y|y좌표|좌표y|좌표정보y|northing|tmy|utmy|utmky|ycoord|coordy|pointy)$/,
  ],
];
const SHAPE = /(^|[,;|\t"\n])\s*(SRID=\d+;)?\s*(MULTI)?(POINT|LINESTRING|POLYGON)\s*(Z|M|ZM)?\s*\(/i;

/** @param {Blob} file @returns {Promise<import("./bytes.js").Sniffed>} */
export async function sheet(file) {
  const head = textOf(await view(file, 0, HEAD), file.size <= HEAD);
  const columns = DELIMITERS.map((delimiter) => firstRow(head, delimiter)).reduce((most, row) => (row.length > most.length ? row : most));
  const plain = columns.map((name) => name.replace(/[\s_.()[\]°:/-]+/g, "").toLowerCase());
  const has = (/** @type {RegExp} */ word) => plain.some((name) => word.test(name));
  const [degrees, metres] = PAIRS.map(([first, second]) => has(first) && has(second));
  const note = SHAPE.test(head) || degrees ? "later" : metres ? "no_crs" : "no_columns";
  return sniffed({ format: "CSV", columns, notes: [note] });
}

/** @param {DataView} bytes @param {boolean} isWhole @returns {string} */
function textOf(bytes, isWhole) {
  const mark = bytes.byteLength > 1 ? bytes.getUint16(0) : 0;
  if (mark === 0xfffe || mark === 0xfeff) return new TextDecoder(mark === 0xfffe ? "utf-16le" : "utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !isWhole });
  } catch {
    return new TextDecoder("euc-kr").decode(bytes); // what the web calls so is cp949
  }
}

/** The cells of the first row, which may be quoted. @param {string} text @param {string} delimiter */
function firstRow(text, delimiter) {
  const cells = [""];
  let isQuoted = false;
  for (const letter of text.replace(/^[\r\n]+/, "")) {
    if (letter === '"') isQuoted = !isQuoted;
    else if (letter === delimiter && !isQuoted) cells.push("");
    else if (/[\r\n]/.test(letter) && !isQuoted) break;
    else cells[cells.length - 1] += letter;
  }
  return cells.map((cell) => cell.trim()).filter(Boolean);
}
