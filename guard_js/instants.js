/** A table of instants by hash: 25 bytes a slot, in arrays that the garbage collector skips.
 *
 * It is a hash table with open addressing and linear probing, at most three quarters full. The
 * hashed texts are not kept: among a million, the chance that two share all 64 bits is one in 37
 * million, and those two would then be revoked together.
 */

/** @typedef {import("./keyed-hash.js").Hash} Hash */

const FIRST_CAPACITY = 64;
const MAX_LOAD = 0.75;

export class Instants {
  /** How many instants there are. */
  size = 0;
  #capacity = 0;
  #lows = new Uint32Array();
  #highs = new Uint32Array();
  #horizons = new Float64Array();
  #written = new Float64Array();
  /** The tag of each instant plus one; 0 for a free slot. */
  #tags = new Uint8Array();

  constructor() {
    this.#allocate(FIRST_CAPACITY);
  }

  /** Store an instant, unless there is a later one: later by its horizon, then by when it was
   * written. Times are in microseconds; `tag` is a number below 255. Returns whether it was stored.
   * @param {Hash} hash @param {number} horizon @param {number} at @param {number} tag */
  keep(hash, horizon, at, tag) {
    let slot = this.#find(hash);
    if (this.#tags[slot] !== 0) {
      const later = horizon - this.#horizons[slot] || at - this.#written[slot];
      if (later <= 0) return false;
    } else {
      if (this.size >= this.#capacity * MAX_LOAD) {
        this.#rebuild(this.#capacity * 2, () => true);
        slot = this.#find(hash);
      }
      this.size += 1;
    }
    this.#lows[slot] = hash.low;
    this.#highs[slot] = hash.high;
    this.#horizons[slot] = horizon;
    this.#written[slot] = at;
    this.#tags[slot] = tag + 1;
    return true;
  }

  /** @param {Hash} hash
   * @returns {{horizon: number, at: number, tag: number} | undefined} */
  get(hash) {
    const slot = this.#find(hash);
    if (this.#tags[slot] === 0) return undefined;
    return {
      horizon: this.#horizons[slot],
      at: this.#written[slot],
      tag: this.#tags[slot] - 1,
    };
  }

  /** Drop what was written before `oldest`, if that is at least a quarter of the table.
   * @param {number} oldest */
  drop(oldest) {
    let kept = 0;
    for (let slot = 0; slot < this.#capacity; slot += 1)
      if (this.#tags[slot] !== 0 && this.#written[slot] >= oldest) kept += 1;
    if (kept > this.size * 0.75) return;
    let capacity = FIRST_CAPACITY;
    while (capacity * MAX_LOAD <= kept) capacity *= 2;
    this.#rebuild(capacity, (at) => at >= oldest);
  }

  /** The slot of a hash, or the free slot where it would go. @param {Hash} hash */
  #find({ low, high }) {
    const mask = this.#capacity - 1;
    let slot = low & mask;
    while (this.#tags[slot] !== 0 && (this.#lows[slot] !== low || this.#highs[slot] !== high))
      slot = (slot + 1) & mask;
    return slot;
  }

  /** @param {number} capacity a power of two */
  #allocate(capacity) {
    this.#capacity = capacity;
    this.#lows = new Uint32Array(capacity);
    this.#highs = new Uint32Array(capacity);
    this.#horizons = new Float64Array(capacity);
    this.#written = new Float64Array(capacity);
    this.#tags = new Uint8Array(capacity);
  }

  /** @param {number} capacity @param {(at: number) => boolean} isKept */
  #rebuild(capacity, isKept) {
    const [lows, highs, horizons] = [this.#lows, this.#highs, this.#horizons];
    const [written, tags] = [this.#written, this.#tags];
    this.#allocate(capacity);
    this.size = 0;
    for (let slot = 0; slot < tags.length; slot += 1) {
      if (tags[slot] === 0 || !isKept(written[slot])) continue;
      const hash = { low: lows[slot], high: highs[slot] };
      this.keep(hash, horizons[slot], written[slot], tags[slot] - 1);
    }
  }
}
