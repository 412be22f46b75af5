/** JSON as tokens must have it: no member is repeated, and whole numbers are exact.
 *
 * Parsers differ in which of two members of the same name they use (RFC 8259 section 4), so the code
 * that checks a token and the code that acts on it might read different values. An object becomes a
 * `Map`, a whole number a `bigint`, and a number with a fraction or an exponent a `number`.
 */

/** @typedef {null | boolean | string | number | bigint | Json[] | Map<string, Json>} Json */

const MAX_DEPTH = 900;
const MAX_DIGITS = 4300;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /(-?(?:0|[1-9]\d*))(\.\d+)?([eE][-+]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in strings
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /true|false|null/y;
/** @type {Record<string, Json>} */
const WORDS = { true: true, false: false, null: null };

/** An object has the same member twice. */
export class RepeatedMember extends SyntaxError {}

/** Parse a text; throws a SyntaxError if it is not JSON, a RepeatedMember if a member is repeated.
 * @param {string} text @returns {Json} */
export function parse(text) {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  #text;
  #at = 0;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
    this.#match(SPACE);
  }

  end() {
    if (this.#at < this.#text.length) throw new SyntaxError("something follows the JSON text");
  }

  /** @param {number} depth @returns {Json} */
  value(depth) {
    if (depth > MAX_DEPTH) throw new SyntaxError("nested too deep");
    const value = this.#bare(depth);
    this.#match(SPACE);
    return value;
  }

  /** @param {number} depth @returns {Json} */
  #bare(depth) {
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
    }
    const word = this.#match(WORD);
    if (word) return WORDS[word[0]];
    const number = this.#match(NUMBER);
    if (!number) throw new SyntaxError("not JSON");
    const [text, whole, fraction, exponent] = number;
    if (fraction !== undefined || exponent !== undefined) return Number(text);
    if (whole.length > MAX_DIGITS) throw new SyntaxError("a number is too long");
    return BigInt(whole);
  }

  /** @param {number} depth */
  #object(depth) {
    /** @type {Map<string, Json>} */
    const members = new Map();
    let repeated = false;
    this.#step("{");
    for (let isFirst = true; !this.#step("}"); isFirst = false) {
      if (!isFirst) this.#need(",");
      const name = this.#string();
      this.#match(SPACE);
      this.#need(":");
      repeated ||= members.has(name);
      members.set(name, this.value(depth + 1));
    }
    if (repeated) throw new RepeatedMember("a member is repeated");
    return members;
  }

  /** @param {number} depth */
  #array(depth) {
    /** @type {Json[]} */
    const values = [];
    this.#step("[");
    for (let isFirst = true; !this.#step("]"); isFirst = false) {
      if (!isFirst) this.#need(",");
      values.push(this.value(depth + 1));
    }
    return values;
  }

  #string() {
    const found = this.#match(STRING);
    if (!found) throw new SyntaxError("not JSON");
    return /** @type {string} */ (JSON.parse(found[0]));
  }

  /** @param {string} mark */
  #need(mark) {
    if (!this.#step(mark)) throw new SyntaxError("not JSON");
  }

  /** Skip a mark and the space that follows it; returns whether it was there.
   * @param {string} mark */
  #step(mark) {
    if (this.#text[this.#at] !== mark) return false;
    this.#at += 1;
    this.#match(SPACE);
    return true;
  }

  /** @param {RegExp} pattern */
  #match(pattern) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found) this.#at = pattern.lastIndex;
    return found;
  }
}
