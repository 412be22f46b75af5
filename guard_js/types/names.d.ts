/** How users are named in the feed, and how its times are read. */
/** A text with all but the unreserved characters of RFC 3986 section 2.3 escaped.
 * @param {string} text */
export declare function quote(text: string): string;
/** The key of a user: issuer and subject, escaped so that each pair has its own key.
 * @param {string} iss @param {string} sub */
export declare const userKey: (iss: string, sub: string) => string;
/** The CRC-32 of an ASCII text, such as a user key (ISO 3309, as in zlib). @param {string} text */
export declare function crc32(text: string): number;
/** Microseconds from NumericDate seconds; exact for times of the store. @param {number} seconds */
export declare function micros(seconds: number): number;
