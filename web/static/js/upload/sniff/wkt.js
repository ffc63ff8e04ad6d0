// @ts-check
// What the WKT of a coordinate system says (WKT 1, ESRI's, WKT 2): code, name, height system, and the numbers of a transverse Mercator.

/** @typedef {{name: string, args: any[]}} Node
 * @typedef {{code: string, name: string, height: string, system: "degrees" | import("./project.js").Tm | null}} Stated */

const HEIGHTS = [
  ["EGM2008", /EGM ?2008/i],
  ["EGM96", /EGM ?96/i],
  ["NAVD88", /NAVD ?88|North American Vertical Datum/i],
  ["KVD1964", /KVD ?1964|Incheon|Korean Vertical/i],
  ["DHHN2016", /DHHN2016/i],
  ["ellipsoid", /ellips/i],
];

/** The short name of a height system, or its own. @param {string} name */
export const heightName = (name) =>
  /** @type {string} */ (HEIGHTS.find(([, mark]) => /** @type {RegExp} */ (mark).test(name))?.[0] ?? name);

/** Height systems by EPSG code, as files in metres name them. */
export const HEIGHT_CODES = /** @type {Record<number, string>} */ ({
  5193: "KVD1964",
  3855: "EGM2008",
  5773: "EGM96",
  5703: "NAVD88",
  6360: "NAVD88",
  7837: "DHHN2016",
});

/** The tree of a WKT text; null when it is none. @param {string} wkt @returns {Node | null} */
export function parse(wkt) {
  const tokens = wkt.slice(0, 100_000).match(/"(?:[^"]|"")*"|[A-Za-z_][\w]*|[-+]?[\d.]+(?:[eE][-+]?\d+)?|[[\](),]/g) ?? [];
  let at = 0;
  /** @param {number} depth @returns {any} */
  const value = (depth) => {
    const token = tokens[at++];
    if (token === undefined || depth > 40) return null;
    if (token.startsWith('"')) return token.slice(1, -1).replaceAll('""', '"');
    if (/^[-+\d.]/.test(token)) return Number(token);
    if (tokens[at] !== "[" && tokens[at] !== "(") return token;
    /** @type {Node} */
    const node = { name: token.toUpperCase(), args: [] };
    at += 1;
    while (at < tokens.length && tokens[at] !== "]" && tokens[at] !== ")")
      tokens[at] === "," ? (at += 1) : node.args.push(value(depth + 1));
    at += 1;
    return node;
  };
  const root = value(0);
  return root?.args ? root : null;
}

/** Nodes of these names below a node, the node itself included. @param {Node | null} node @param {...string} names @returns {Node[]} */
function all(node, ...names) {
  if (!node) return [];
  const inner = node.args.filter((arg) => arg?.args).flatMap((arg) => all(arg, ...names));
  return names.includes(node.name) ? [node, ...inner] : inner;
}

/** @param {string} wkt @returns {Stated | null} */
export function readWkt(wkt) {
  const root = parse(wkt.trim());
  if (!root) return null;
  const isCompound = /^COMPD|^COMPOUND/.test(root.name);
  const flat = isCompound ? root.args.find((arg) => arg?.args && !/^VERT/.test(arg.name)) : root;
  const vertical = all(root, "VERT_CS", "VERTCS", "VERTCRS", "VERTICALCRS")[0];
  const id = flat?.args?.find((/** @type {any} */ arg) => arg?.name === "AUTHORITY" || arg?.name === "ID");
  const height = vertical ? heightName(`${vertical.args[0]} ${all(vertical, "VERT_DATUM", "VDATUM")[0]?.args[0] ?? ""}`.trim()) : "";
  const stated = {
    code: id && id.args[0] === "EPSG" ? `EPSG:${id.args[1]}` : "",
    name: String(flat?.args?.[0] ?? ""),
    height,
    system: null,
  };
  return { ...stated, system: systemIn(flat) };
}

/** @param {Node} flat @returns {"degrees" | import("./project.js").Tm | null} */
function systemIn(flat) {
  const ellipsoid = all(flat, "SPHEROID", "ELLIPSOID")[0];
  const [, a, rf] = ellipsoid?.args ?? [];
  // Another datum: PROJ must shift it
  if (a !== 6378137 || all(flat, "TOWGS84").some((node) => node.args.some((value) => value))) return null;
  if (/^GEOG|^GEODCRS|^GEODETIC/.test(flat.name)) return "degrees";
  const method = String(all(flat, "PROJECTION", "METHOD")[0]?.args[0] ?? "").replaceAll("_", " ");
  if (!/^(transverse mercator|gauss kr)/i.test(method)) return null;
  const numbers = Object.fromEntries(
    all(flat, "PARAMETER").map((node) => [String(node.args[0]).toLowerCase().replaceAll("_", " "), Number(node.args[1])]),
  );
  /** @param {...string} names */
  const pick = (...names) => names.map((name) => numbers[name]).find(Number.isFinite);
  const units = flat.args.filter((arg) => arg?.name === "UNIT" || arg?.name === "LENGTHUNIT");
  const unit = Number(units.at(-1)?.args[1] ?? all(flat, "LENGTHUNIT").at(-1)?.args[1] ?? 1);
  const lon0 = pick("central meridian", "longitude of natural origin", "longitude of origin"),
    k = pick("scale factor", "scale factor at natural origin");
  if (lon0 === undefined || k === undefined) return null;
  const east = pick("false easting") ?? 0,
    north = pick("false northing") ?? 0;
  return {
    lon0,
    lat0: pick("latitude of origin", "latitude of natural origin") ?? 0,
    k,
    x0: east * unit,
    y0: north * unit,
    rf: Number(rf),
    unit,
  };
}
