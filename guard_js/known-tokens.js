/** Tokens whose signature was verified: checking one of them again costs a look-up. */

/** @typedef {import("./revocations.js").Place} Place */
/** @typedef {import("./verdict.js").Identity} Identity */

/** `accepted` is the newest cut-off in spite of which the hub accepted the token: it has a list of
 * sessions, and so it may know what times leave open.
 * @typedef {{token: string, identity: Identity, place: Place, accepted?: string}} Known */

const MAX_TOKENS = 20_000;
const MAX_CHARACTERS = 32_000_000;

export class KnownTokens {
  /** @type {Map<string, Known>} */
  #tokens = new Map();
  #generation = 0;
  #characters = 0;

  /** @param {string} token @param {number} generation of the keys; -1 voids everything */
  get(token, generation) {
    if (generation !== this.#generation || generation < 0) {
      this.#tokens.clear();
      this.#characters = 0;
      this.#generation = generation;
    }
    return this.#tokens.get(token);
  }

  /** @param {Known} known */
  add(known) {
    if (!this.#tokens.has(known.token)) this.#characters += known.token.length;
    this.#tokens.set(known.token, known);
    if (this.#tokens.size <= MAX_TOKENS && this.#characters <= MAX_CHARACTERS) return;
    const [oldest] = this.#tokens.keys();
    this.#tokens.delete(oldest);
    this.#characters -= oldest.length;
  }
}
