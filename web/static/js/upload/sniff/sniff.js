// @ts-check
// What a file is and where it is, from its first and last bytes, before anything is sent. What cannot be known is reported, never guessed.
import { latin, sniffed, text, view } from "./bytes.js";
import { las } from "./las.js";
import { parquet } from "./parquet.js";
import { photo } from "./photo.js";
import { boxFrom, systemOf } from "./project.js";
import { sheet } from "./sheet.js";
import { flatgeobuf, geojson, opendrive, osm, shapefile } from "./vector.js";

/** @typedef {import("./bytes.js").Sniffed} Sniffed */

const FOREIGN = [
  ["#ROSBAG V", "ROS 1 bag"],
  ["\x89HDF", "HDF5"],
  ["II*", "TIFF"],
  ["\x89PNG", "PNG"],
  ["GIF8", "GIF"],
  ["%PDF", "PDF"],
  ["\x1f\x8b", "gzip"],
  ["7z\xbc\xaf", "7z"],
  ["Rar!", "RAR"],
  ["BZh", "bzip2"],
  ["\x7fELF", "ELF"],
  ["MZ", "EXE"],
];
const PARTS = /\.(dbf|shx|prj|cpg|qpj|sbn|sbx|qix|shp\.xml)$/i;
// As `mapex/rules/parts.py`: what stands beside data, and is none
const ASIDE = new RegExp(
  "\\.(cst|cpg|prj|qpj|wkt|qmd|qml|qlr|sld|lyrx?|atx|ai[hn]|ixs|mxs|fb[nx]|sb[nx]|qix|idm|ind|aux\\.xml|shp\\.xml" +
    "|gpkg-(wal|shm|journal)|wdp|lrv|thm|pdf|txt|md|rst|rtf|docx?|hwpx?)$",
  "i",
);
const DATA = [
  "shp",
  "gpkg",
  "geojson",
  "json",
  "fgb",
  "parquet",
  "osm",
  "pbf",
  "xodr",
  "las",
  "laz",
  "pcd",
  "ply",
  "mcap",
  "mp4",
  "mov",
  "kml",
  "gml",
  "dxf",
  "gpx",
  "nmea",
  "csv",
];
const TRACK = /\.(gpx|nmea|nma|csv)$/i;
const RECORDED = ["mcap", "bag", "db3"];
const RECORDED_PARTS = /\.db3-(wal|shm|journal)$/i;
const RECORDED_PACKED = /\.(mcap|bag|db3)\.zstd?$/i;
// As `ingest/formats.py`: the first box of MP4 and QuickTime, but not of HEIC, AVIF and CR3
const FILM = /^\0[^]{3}(ftyp(?!hei[cmsx]|hev[cx]|mif1|msf1|avi[fs]|crx |jp2 |jxl )|moov|mdat|wide|skip)/;
const FILMS = ["mp4", "mov", "m4v", "360"];
const NULL_ISLAND_DEG = 1;

/** @param {Blob} file @param {string} name @param {(ending: string) => Blob | null} sibling the file of the same name with another ending
 * @returns {Promise<Sniffed>} */
export async function sniff(file, name, sibling = () => null) {
  return settle(await look(file, name, sibling));
}

/** @param {Blob} file @param {string} name @param {(ending: string) => Blob | null} sibling @returns {Promise<Sniffed>} */
async function look(file, name, sibling) {
  const bytes = await view(file, 0, 4096);
  let magic = "";
  for (let i = 0; i < Math.min(16, bytes.byteLength); i++) magic += String.fromCharCode(bytes.getUint8(i));
  if (/(^|\/)map_projector_info\.yaml$/i.test(name)) return sniffed({ format: "Autoware", notes: ["later"] });
  if (PARTS.test(name) && sibling("shp")) return sniffed({ format: "Shapefile", notes: ["part_of"] });
  if (isApollo(bytes, magic)) return sniffed({ format: "Apollo", kind: "hdmap", notes: ["later"] });
  if (TRACK.test(name) && FILMS.some((ending) => sibling(ending))) return sniffed({ format: "GPS", notes: ["track_of"] });
  if (ASIDE.test(name) || /(turninfo|multilink)\.dbf$/i.test(name) || (/\.xml$/i.test(name) && DATA.some((ending) => sibling(ending))))
    return sniffed({ notes: ["aside"] });
  const track = TRACK.exec(name)?.[1];
  if (track && RECORDED.some((ending) => sibling(ending))) return sniffed({ format: track.toUpperCase(), notes: ["later"] });
  if (RECORDED_PARTS.test(name) && sibling("db3")) return sniffed({ format: "ROS 2 bag", kind: "recording", notes: ["later"] });
  if (magic.startsWith("LASF")) return las(file);
  if (magic.startsWith("fgb\x03")) return flatgeobuf(file);
  if (magic.startsWith("PAR1")) return parquet(file);
  if (magic.startsWith("\xff\xd8\xff")) return photo(file);
  if (magic.startsWith("\x00\x00\x27\x0a") && /\.shp$/i.test(name)) return shapefile(file, sibling("prj"));
  if (magic.startsWith("SQLite format 3")) return sqlite(latin(bytes, 0, 4096), name);
  if (magic.startsWith("#ROSBAG V2.0")) return sniffed({ format: "ROS 1 bag", kind: "recording", notes: ["later"] });
  if (magic.startsWith("\x28\xb5\x2f\xfd") && RECORDED_PACKED.test(name))
    return sniffed({ format: "zstd", kind: "recording", notes: ["later"] });
  if (magic.startsWith("\x89MCAP0\r\n")) return sniffed({ format: "MCAP", kind: "recording", notes: ["later"] });
  if (FILM.test(magic)) return sniffed({ format: /\.mov$/i.test(name) ? "MOV" : "MP4", kind: "video", notes: ["later"] });
  if (magic.startsWith("PK\x03\x04") || magic.startsWith("PK\x05\x06")) return zip(file);
  if (magic.slice(4, 15) === "\n\tOSMHeader") return sniffed({ format: "OSM PBF", crs: "EPSG:4326", notes: ["later"] });
  const within = /^(\x1f\x8b|BZh)/.test(magic) && /\.(osm|xodr)\.(gz|bz2)$/i.exec(name)?.[1];
  if (within) return sniffed({ format: within.toLowerCase() === "osm" ? "OSM XML" : "OpenDRIVE", notes: ["later"] });
  if (magic.startsWith("ply\n") || magic.startsWith("ply\r")) return cloud("PLY", /element vertex (\d+)/.exec(latin(bytes, 0, 4096)));
  const head = new TextDecoder()
    .decode(bytes)
    .replace(/^\ufeff/, "")
    .trimStart();
  if (/^(#[^\n]*\n)*\s*VERSION\s+0?\.\d/.test(head) || head.startsWith("# .PCD")) return cloud("PCD", /\nPOINTS (\d+)/.exec(head));
  if (head.startsWith("<")) return /<osm\b/.test(head) ? osm(file) : /<(?:\w+:)?OpenDRIVE\b/.test(head) ? opendrive(file) : xml(head);
  if (/^(\s*999\r?\n[^\n]*\n){0,20}\s*0\r?\n\s*SECTION\s/.test(head)) return sniffed({ format: "DXF", notes: ["no_crs"] });
  if (/^([^\n]{0,200}\n){0,4}\W{0,8}\$[A-Z]{5},/.test(head)) return sniffed({ format: "NMEA", kind: "recording", notes: ["later"] });
  if (/(^|\/)([a-z0-9_]+_set|global_info)\.json$/i.test(name) && /^[{[]/.test(head))
    return sniffed({ format: "MGeo", kind: "hdmap", notes: ["later"] });
  if (/^[{[\x1e]/.test(head)) return geojson(file, name);
  if (/\.(csv|tsv)$/i.test(name)) return sheet(file);
  const foreign = FOREIGN.find(([mark]) => magic.startsWith(mark)) ?? (magic.slice(4, 8) === "ftyp" ? ["", "HEIC"] : null);
  return sniffed({ format: foreign?.[1] ?? "", notes: [foreign ? "foreign" : "unknown"] });
}

/** By its root element. @param {string} head */
function xml(head) {
  const root = /<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)/.exec(head.replace(/<\?[^]*?\?>|<!--[^]*?-->/g, ""))?.[1] ?? "";
  const read = { gpx: "GPX", kml: "KML", FeatureCollection: "GML" }[root];
  if (read) return sniffed({ format: read, kind: read === "GPX" ? "recording" : "", notes: ["later"] });
  return sniffed({ notes: ["foreign"], format: ["html", "svg"].find((name) => name === root) ?? "XML" });
}

/** Whether a file is an Apollo map, as text or in the wire format. @param {DataView} bytes @param {string} magic */
const isApollo = (bytes, magic) =>
  /^\s*header\s*:?\s*[{<]/.test(latin(bytes, 0, 64)) ||
  (magic.startsWith("\n") && /\x1a.{1,2}\n.{1,2}\+proj=/s.test(latin(bytes, 0, 1024)));

/** @param {string} format @param {RegExpExecArray | null} count */
const cloud = (format, count) => sniffed({ format, kind: "pointcloud", count: Number(count?.[1] ?? 0), notes: ["asked"] });

/** A file of SQLite: a recording of rosbag2, or a GeoPackage. @param {string} head @param {string} name */
function sqlite(head, name) {
  const isRecording = !head.includes("gpkg_contents") && (/CREATE TABLE ['"`[]?(topics|messages)\b/i.test(head) || /\.db3$/i.test(name));
  return isRecording
    ? sniffed({ format: "ROS 2 bag", kind: "recording", notes: ["later"] })
    : sniffed({ format: "GeoPackage", notes: ["later"] });
}

/** A zip by the names in its directory. @param {Blob} file */
async function zip(file) {
  const names = [...(await text(file, -(1 << 16), 1 << 16)).matchAll(/PK\x01\x02[\s\S]{42}([^\0]{1,255}?)(?=PK|[\0\ufffd]|$)/g)].map(
    ([, name]) => name.toLowerCase(),
  );
  const is = (/** @type {RegExp} */ mark) => names.some((name) => mark.test(name));
  const kind = is(/\.(nodes|edges)(\.osw)?\.geojson/)
    ? "sidewalk"
    : is(/\.(jpe?g)/)
      ? "photos"
      : is(/\.(mcap|bag|db3)\b/)
        ? "recording"
        : is(/\.(mp4|mov|m4v|360)/)
          ? "video"
          : is(/\.(laz|las|pcd|ply)/)
            ? "pointcloud"
            : "";
  return sniffed({ format: is(/\.shp/) ? "ZIP: Shapefile" : "ZIP", kind, notes: ["later"] });
}

/** The box in degrees where it can be known here, and doubts about it. @param {any} found @returns {Sniffed & {system?: any}} */
export function settle(found) {
  const own = found.own;
  if (!own) return found;
  const system = found.system ?? systemOf(found.crs);
  if (system === "degrees") {
    const [x0, y0, x1, y1] = own;
    if (Math.max(Math.abs(x0), Math.abs(y0), Math.abs(x1), Math.abs(y1)) < NULL_ISLAND_DEG)
      return { ...found, notes: [...found.notes, "null_island"] };
    const isTurned = (y1 > 90 || y0 < -90) && Math.abs(y0) <= 180 && Math.abs(y1) <= 180 && Math.abs(x0) <= 90 && Math.abs(x1) <= 90;
    if (isTurned) return { ...found, notes: [...found.notes, "swapped"] };
  }
  const box = system ? boxFrom(own, system) : null;
  if (box) return { ...found, box };
  if (system) return { ...found, notes: [...found.notes, "not_there"] };
  return { ...found, notes: [...found.notes, found.crs ? "ask" : found.crsName ? "later" : "no_crs"] };
}
