// @ts-check
// One file to the store in parts: hashed here, signed by the exchange, sent straight to the store; it goes on where it stopped.
import { call, get, post } from "../base/api.js";
import { Lanes, Paused, patiently, put, slice } from "./parts.js";
import { forget, recall, remember } from "./remember.js";

/** The file is not the one whose parts were sent. */
export class Changed extends Error {}

const AT_ONCE = 3;
const MOST_ROUNDS = 4;
const lanes = new Lanes(AT_ONCE);

export class Transfer {
  /** @param {File} file @param {string} name @param {(transfer: Transfer) => void} onChange */
  constructor(file, name, onChange) {
    this.file = file;
    this.name = name;
    this.onChange = onChange;
    /** @type {"ready" | "queued" | "sending" | "waiting" | "paused" | "done" | "changed" | "failed"} */
    this.state = "ready";
    this.sent = 0;
    this.id = "";
    /** @type {any} */
    this.error = null;
    this.stop = new AbortController();
    /** @type {[number, number][]} when, how much */
    this.history = [];
    /** @type {Map<number, number>} bytes under way by part */
    this.underway = new Map();
    /** @type {Promise<boolean> | null} */
    this.running = null;
  }

  /** @param {Transfer["state"]} state @param {any} [error] */
  is(state, error = null) {
    this.state = state;
    this.error = error;
    this.onChange(this);
  }

  /** Bytes that are there or on the line. */
  get progress() {
    return this.sent + [...this.underway.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Bytes a second over the last seconds, 0 while unknown. */
  get speed() {
    const [first, last] = [this.history[0], this.history.at(-1)];
    return first && last && last[0] - first[0] > 300 ? Math.max(0, ((last[1] - first[1]) * 1000) / (last[0] - first[0])) : 0;
  }

  /** @param {number} number @param {number} count bytes of a part on the line */
  moved(number, count) {
    count ? this.underway.set(number, count) : this.underway.delete(number);
    const now = performance.now();
    this.history = [...this.history.filter(([at]) => now - at < 5000), [now, this.progress]];
    if (this.state === "waiting" && count) this.is("sending");
    this.onChange(this);
  }

  pause() {
    this.stop.abort();
    if (this.state !== "done") this.is("paused");
  }

  /** Send what is missing; resolves to whether all of it is there. @returns {Promise<boolean>} */
  run() {
    this.running = (this.running ?? Promise.resolve(false)).then(() => this.goOn());
    return this.running;
  }

  async goOn() {
    if (this.state === "done") return true;
    this.stop = new AbortController();
    this.history = [];
    this.is("sending");
    const { signal } = this.stop;
    try {
      const upload = await this.patient(() => this.begun());
      for (let round = 1; upload.state !== "complete"; round++) {
        await this.sendMissing(upload);
        const left = await this.patient(() =>
          post(`/uploads/${upload.id}/complete`).then(
            () => null,
            (error) => (error.code === "upload.incomplete" && round < MOST_ROUNDS ? error.details.missing : Promise.reject(error)),
          ),
        );
        if (!left) break;
        upload.received = Array.from({ length: upload.parts }, (_unused, i) => i + 1).filter((number) => !left.includes(number));
      }
      this.sent = this.file.size;
      this.is("done");
      return true;
    } catch (error) {
      this.underway.clear();
      if (signal.aborted || error instanceof Paused) this.is("paused");
      else if (error instanceof Changed) this.is("changed");
      else this.is("failed", error);
      return false;
    }
  }

  /** The upload that was begun for this file before, or a new one. */
  async begun() {
    const known = recall(this.name);
    const found = known && (await get(`/uploads/${known.id}`).catch((error) => (error.status === 404 ? null : Promise.reject(error))));
    if (found && ["open", "complete"].includes(found.state)) {
      if (found.size !== this.file.size) throw new Changed();
      await this.check(found, known);
      this.id = found.id;
      return found;
    }
    const upload = await post("/uploads", { name: this.name, size: this.file.size });
    remember(this.name, { id: upload.id, size: this.file.size, modified: this.file.lastModified, digests: {} });
    this.id = upload.id;
    return { ...upload, received: [] };
  }

  /** Whether the parts that arrived are those of this file. @param {any} upload @param {any} known */
  async check(upload, known) {
    for (const number of upload.received) {
      const digest = known.digests[number];
      if (digest && !(await this.part(upload, number)).sha256.startsWith(digest)) throw new Changed();
      if (!digest && known.modified !== this.file.lastModified) throw new Changed();
      if (this.stop.signal.aborted) throw new Paused();
    }
  }

  /** @param {any} upload @param {number} number */
  sizeOf(upload, number) {
    return Math.min(upload.part_size, this.file.size - (number - 1) * upload.part_size);
  }

  /** @param {any} upload @param {number} number */
  async part(upload, number) {
    try {
      return await slice(this.file, (number - 1) * upload.part_size, this.sizeOf(upload, number));
    } catch (error) {
      throw new Changed(String(error)); // the browser refuses to read a file that was written to after it was chosen
    }
  }

  /** @param {any} upload */
  async sendMissing(upload) {
    const received = new Set(upload.received.map(Number));
    const missing = Array.from({ length: upload.parts }, (_unused, i) => i + 1).filter((number) => !received.has(number));
    this.sent = [...received].reduce((sum, number) => sum + this.sizeOf(upload, number), 0);
    this.onChange(this);
    const work = async () => {
      for (let number = missing.shift(); number !== undefined; number = missing.shift())
        await lanes.run(() => this.sendPart(upload, /** @type {number} */ (number)));
    };
    const all = await Promise.allSettled(
      Array.from({ length: AT_ONCE }, () => work().catch((error) => ((missing.length = 0), Promise.reject(error)))),
    );
    const broken = /** @type {PromiseRejectedResult | undefined} */ (all.find((one) => one.status === "rejected"));
    if (broken) throw broken.reason;
  }

  /** Send one part until the store has it; what the store refuses is read, hashed and signed anew. @param {any} upload
   * @param {number} number */
  async sendPart(upload, number) {
    let refusals = 0;
    await this.patient(async () => {
      if (this.stop.signal.aborted) throw new Paused();
      const { body, sha256 } = await this.part(upload, number);
      const { parts } = await post(`/uploads/${upload.id}/parts`, { parts: [{ number, size: body.byteLength, sha256 }] });
      try {
        await put(parts[0], body, this.stop.signal, (count) => this.moved(number, count));
      } catch (/** @type {any} */ error) {
        this.moved(number, 0);
        throw error.code === "upload.refused" && ++refusals < MOST_ROUNDS ? Object.assign(error, { again: true }) : error;
      }
      this.underway.delete(number);
      this.sent += body.byteLength;
      remember(this.name, { ...recall(this.name), digests: { ...recall(this.name)?.digests, [number]: sha256.slice(0, 16) } });
      this.moved(number, 0);
    });
  }

  /** @template T @param {() => Promise<T>} step @returns {Promise<T>} */
  patient(step) {
    return patiently(step, this.stop.signal, (error) => this.is("waiting", error));
  }

  /** Forget the parts that were sent. */
  async startAgain() {
    const known = recall(this.name);
    if (known)
      await get(`/uploads/${known.id}`)
        .then((found) => (found.state === "open" ? call("DELETE", `/uploads/${known.id}`) : null))
        .catch(() => null);
    forget(this.name);
    this.sent = 0;
    this.id = "";
    this.is("ready");
  }
}
