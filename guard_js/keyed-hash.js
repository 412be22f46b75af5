/** HalfSipHash-2-4 with 64 bits of output, over UTF-16: outsiders cannot construct collisions.
 *
 * It is SipHash (Aumasson and Bernstein, 2012) with words of 32 bits, which JavaScript computes with
 * fast. The key is random, so different texts collide in each process.
 */
import { randomBytes } from "node:crypto";

/** @typedef {{low: number, high: number}} Hash two whole numbers of 32 bits */

/** @param {Uint8Array} [key] 8 bytes
 * @returns {(text: string) => Hash} */
export function keyedHash(key = randomBytes(8)) {
  const view = new DataView(key.buffer, key.byteOffset, 8);
  const k0 = view.getInt32(0, true);
  const k1 = view.getInt32(4, true);
  return (text) => hash(text, k0, k1);
}

/** @param {string} text @param {number} k0 @param {number} k1 @returns {Hash} */
function hash(text, k0, k1) {
  const { length } = text;
  let v0 = k0;
  let v1 = k1 ^ 0xee;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;

  /** @param {number} count */
  const rounds = (count) => {
    for (; count > 0; count -= 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
  };
  const end = length & ~1;
  for (let at = 0; at < end; at += 2) {
    const word = text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16);
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  // The last word holds the length in bytes, and what is left over.
  const last = ((length * 2) << 24) | (end < length ? text.charCodeAt(end) : 0);
  v3 ^= last;
  rounds(2);
  v0 ^= last;
  v2 ^= 0xee;
  rounds(4);
  const low = (v1 ^ v3) >>> 0;
  v1 ^= 0xdd;
  rounds(4);
  return { low, high: (v1 ^ v3) >>> 0 };
}
