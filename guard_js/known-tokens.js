/** Tokens whose signatures were verified: checking one again costs a look-up. */

/** @typedef {import("./revocations.js").Names} Names */
/** @typedef {import("./issuers.js").Verification} Verification */

/** `accepted` is the newest cut-off despite which the hub accepted the token, since it knows when the
 * session was registered.
 * @typedef {Verification & {token: string, names: Names, accepted?: string}} Known */

const MAX_TOKENS = 20_000;
const MAX_CHARACTERS = 32_000_000;

export class KnownTokens {
  /** @type {Map<string, Known>} */
  #tokens = new Map();
  #characters = 0;

  /** What is known of a token, unless its issuer's keys have changed since.
   * @param {string} token */
  get(token) {
    const known = this.#tokens.get(token);
    return known && known.keys.generation() === known.generation ? known : undefined;
  }

  /** Remember a token, and return the shared record of it, even if two checks verified it at once.
   * @param {Known} known */
  add(known) {
    const { token } = known;
    const same = this.get(token);
    if (same) return same;
    this.#delete(token);
    this.#tokens.set(token, known);
    this.#characters += token.length;
    while (this.#tokens.size > MAX_TOKENS || this.#characters > MAX_CHARACTERS) {
      const [oldest] = this.#tokens.keys();
      this.#delete(oldest);
    }
    return known;
  }

  /** @param {string} token */
  #delete(token) {
    if (this.#tokens.delete(token)) this.#characters -= token.length;
  }
}
