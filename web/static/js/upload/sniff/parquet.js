// @ts-check
// GeoParquet: the `geo` text in the footer (Thrift's compact protocol, read as far as needed) names boxes and the coordinate system.
import { sniffed, view } from "./bytes.js";

const MOST_FOOTER = 16 << 20;

/** @param {Blob} file @returns {Promise<import("./bytes.js").Sniffed>} */
export async function parquet(file) {
  const end = await view(file, -8, 8);
  const size = end.byteLength === 8 ? end.getUint32(0, true) : 0;
  if (!size || size > Math.min(MOST_FOOTER, file.size) || end.getUint32(4, true) !== 0x31524150)
    return sniffed({ format: "GeoParquet", notes: ["cut"] });
  const footer = await view(file, -8 - size, size);
  let facts;
  try {
    facts = footerOf(new Reader(footer));
  } catch {
    return sniffed({ format: "GeoParquet", notes: ["cut"] });
  }
  let geo;
  try {
    geo = JSON.parse(facts.geo || "null");
  } catch {
    geo = null;
  }
  const column = geo?.columns?.[geo.primary_column];
  if (!column) return sniffed({ format: "Parquet", count: facts.rows, notes: ["no_geo"] });
  const id = column.crs === undefined ? { authority: "OGC", code: "CRS84" } : column.crs?.id;
  const bbox = Array.isArray(column.bbox) && column.bbox.every(Number.isFinite) ? column.bbox : null;
  const own = bbox
    ? /** @type {import("./bytes.js").Box} */ (bbox.length === 6 ? [bbox[0], bbox[1], bbox[3], bbox[4]] : bbox.slice(0, 4))
    : null;
  const crs = id ? `${id.authority}:${id.code}` : "";
  return sniffed({
    format: "GeoParquet",
    count: facts.rows,
    own,
    crs: crs === "OGC:CRS84" ? "EPSG:4326" : crs,
    crsName: String(column.crs?.name ?? ""),
  });
}

class Reader {
  /** @param {DataView} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  byte() {
    return this.bytes.getUint8(this.at++);
  }

  varint() {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  text() {
    const size = this.varint();
    const found = new TextDecoder().decode(new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at, size));
    this.at += size;
    return found;
  }

  /** Kind and length of a list. @returns {[number, number]} */
  list() {
    const head = this.byte();
    return [head & 15, head >> 4 === 15 ? this.varint() : head >> 4];
  }

  /** Pass over a value. @param {number} kind @param {number} depth @returns {void} */
  skip(kind, depth = 0) {
    if (depth > 32) throw new RangeError("too deep");
    if (kind === 3) this.at += 1;
    else if (kind >= 4 && kind <= 6) this.varint();
    else if (kind === 7) this.at += 8;
    else if (kind === 8) this.text();
    else if (kind === 9 || kind === 10) {
      const [inner, count] = this.list();
      for (let i = 0; i < count; i++) inner <= 2 ? (this.at += 1) : this.skip(inner, depth + 1);
    } else if (kind === 12) this.fields((_id, inner) => this.skip(inner, depth + 1));
    else if (kind > 2) throw new RangeError("unknown kind");
  }

  /** Each field of a struct; `take` reads or skips it. @param {(id: number, kind: number) => void} take */
  fields(take) {
    for (let id = 0; ;) {
      const head = this.byte();
      if (!head) return;
      const step = head >> 4;
      const raw = step ? 0 : this.varint();
      id = step ? id + step : raw % 2 ? -(raw + 1) / 2 : raw / 2;
      take(id, head & 15);
    }
  }
}

/** Row count, and the text under `geo`. @param {Reader} reader */
function footerOf(reader) {
  const facts = { rows: 0, geo: "" };
  reader.fields((id, kind) => {
    if (id === 3) facts.rows = reader.varint() / 2;
    else if (id === 5 && kind === 9) {
      const [, count] = reader.list();
      for (let i = 0; i < count; i++) {
        const pair = { key: "", value: "" };
        reader.fields((field, inner) =>
          field === 1 ? (pair.key = reader.text()) : field === 2 ? (pair.value = reader.text()) : reader.skip(inner),
        );
        if (pair.key === "geo") facts.geo = pair.value;
      }
    } else reader.skip(kind);
  });
  return facts;
}
