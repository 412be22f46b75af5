/** A queue in little memory: all but its oldest and newest values are packed. */
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

/** How many values are packed together, and at most this many at each end are not. */
export const PACK = 500;

/** Values in the order in which they came; they can be written as JSON. A logout takes some 50 bytes.
 * @template T */
export class Backlog {
  /** The oldest values, the very oldest one last. @type {T[]} */
  #oldest = [];
  /** @type {Buffer[]} */
  #packs = [];
  /** @type {T[]} */
  #newest = [];

  /** The number of values. */
  get size() {
    return this.#oldest.length + PACK * this.#packs.length + this.#newest.length;
  }

  /** Add a value at the end. @param {T} value */
  push(value) {
    this.#newest.push(value);
    if (this.#newest.length < PACK) return;
    const text = JSON.stringify(this.#newest);
    this.#packs.push(deflateRawSync(text, { level: constants.Z_BEST_SPEED }));
    this.#newest = [];
  }

  /** Remove the oldest value, and return it; there must be one. @returns {T} */
  shift() {
    if (this.#oldest.length === 0) {
      const pack = this.#packs.shift();
      const values = pack ? JSON.parse(inflateRawSync(pack).toString()) : this.#newest;
      if (!pack) this.#newest = [];
      this.#oldest = values.reverse();
    }
    return /** @type {T} */ (this.#oldest.pop());
  }
}
