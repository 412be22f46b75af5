/** Tokens whose signature was verified: checking one of them again costs a look-up. */

/** @typedef {import("./revocations.js").Place} Place */
/** @typedef {import("./verdict.js").Identity} Identity */

/** `accepted` is the newest cut-off in spite of which the hub accepted the token: it has a list of
 * sessions, and so it may know what times leave open.
 * @typedef {{token: string, identity: Identity, place: Place, accepted?: number}} Known */

const MAX_TOKENS = 10_000;

export class KnownTokens {
  /** @type {Map<string, Known>} */
  #tokens = new Map();
  #generation = 0;

  /** @param {string} token @param {number} generation of the keys; -1 voids everything */
  get(token, generation) {
    if (generation !== this.#generation || generation < 0) {
      this.#tokens.clear();
      this.#generation = generation;
    }
    return this.#tokens.get(token);
  }

  /** @param {Known} known */
  add(known) {
    this.#tokens.set(known.token, known);
    if (this.#tokens.size <= MAX_TOKENS) return;
    const [oldest] = this.#tokens.keys();
    this.#tokens.delete(oldest);
  }

  /** @param {string} token */
  drop(token) {
    this.#tokens.delete(token);
  }
}
