/** How users are named in the feed, and how its times are read. */

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

/** A text with all but the unreserved characters of RFC 3986 section 2.3 escaped.
 * @param {string} text */
export function quote(text) {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The key of a user: issuer and subject, escaped so that each pair has its own key.
 * @param {string} iss @param {string} sub */
export const userKey = (iss, sub) => `${quote(iss)}|${quote(sub)}`;

/** The CRC-32 of an ASCII text, such as a user key (ISO 3309, as in zlib). @param {string} text */
export function crc32(text) {
  let crc = 0xffffffff;
  for (let at = 0; at < text.length; at += 1)
    crc = CRC_TABLE[(crc ^ text.charCodeAt(at)) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Microseconds from NumericDate seconds; exact for times of the store. @param {number} seconds */
export function micros(seconds) {
  const exact = seconds * 1e6;
  const whole = Math.round(exact);
  // Halves are rounded to even, as in the hub.
  return whole - exact === 0.5 && whole % 2 !== 0 ? whole - 1 : whole + 0; // no -0
}
