// @ts-check
// What a look at a file found, in words.
import { _, n_, word } from "../base/i18n.js";

/** @param {import("./sniff/bytes.js").Sniffed} sniffed @returns {string[]} format, kind, system, height, place: what is known of them */
export function factsOf(sniffed) {
  const system = sniffed.crs ? word("systems", sniffed.crs) : sniffed.crsName;
  const named = sniffed.crs && system !== sniffed.crs ? `${system} (${sniffed.crs})` : system;
  return [
    sniffed.format,
    sniffed.kind ? word("kinds", sniffed.kind) : "",
    sniffed.count
      ? sniffed.kind === "pointcloud"
        ? n_("%(count)s point", "%(count)s points", sniffed.count)
        : n_("%(count)s record", "%(count)s records", sniffed.count)
      : "",
    named,
    sniffed.own && sniffed.format ? (sniffed.height ? _("height: %(name)s", { name: sniffed.height }) : _("height datum not stated")) : "",
    sniffed.box ? placeOf(sniffed.box) : "",
  ].filter(Boolean);
}

/** @param {import("./sniff/bytes.js").Box} box */
export const placeOf = (box) => `${((box[1] + box[3]) / 2).toFixed(4)}°, ${((box[0] + box[2]) / 2).toFixed(4)}°`;

/** @type {Record<string, () => string>} */
const NOTES = {
  later: () => _("Its place is known after the upload."),
  asked: () => _("A point cloud of this kind states no coordinate system. You will be asked for it."),
  no_crs: () => _("The file states no coordinate system. Say it below, or after the upload."),
  no_columns: () => _("The names of its columns do not tell where its rows are. Name the columns below, or after the upload."),
  no_prj: () => _("The .prj file is missing, so the coordinate system is not known. Add it, or say the system below."),
  no_gps: () => _("The photo states no position."),
  no_geo: () => _("No geo metadata in this Parquet file. Its place is known after the upload."),
  part: () => _("A large file: only parts of it were looked at, the place is approximate."),
  empty: () => _("No coordinates were seen."),
  local: () => _("Local metres without a place on the Earth. Give the origin below, or after the upload."),
  swapped: () => _("Latitude and longitude seem to be exchanged: write longitude first."),
  null_island: () => _("All coordinates are at 0, 0. The file was converted wrongly, or its coordinates are local."),
  not_there: () => _("With the coordinate system that it states, its numbers are nowhere on the Earth. The system may be wrong."),
  foreign: () => _("This kind of file is not read here."),
  unknown: () => _("No reader knows this file."),
  part_of: () => _("Belongs to the shapefile of the same name."),
  track_of: () => _("Belongs to the video of the same name."),
  aside: () => _("Stands beside the data; it is not read."),
  cut: () => _("The file seems to be cut."),
};

const DOUBTS = new Set(["swapped", "null_island", "not_there", "foreign", "unknown", "cut", "no_crs", "no_columns", "no_prj", "local"]);

/** @param {import("./sniff/bytes.js").Sniffed} sniffed @returns {{text: string, isDoubt: boolean}[]} */
export const notesOf = (sniffed) =>
  sniffed.notes.filter((note) => note in NOTES).map((note) => ({ text: NOTES[note](), isDoubt: DOUBTS.has(note) }));
