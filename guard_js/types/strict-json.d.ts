/** JSON as tokens must have it: no member is repeated, and whole numbers are exact.
 *
 * Parsers differ in which of two members of the same name they use (RFC 8259 section 4), so the code
 * that checks a token and the code that acts on it might read different values. An object becomes a
 * `Map`, a whole number a `bigint`, and a number with a fraction or an exponent a `number`.
 */
export type Json = null | boolean | string | number | bigint | Json[] | Map<string, Json>;
/** An object has the same member twice. */
export declare class RepeatedMember extends SyntaxError {
}
/** Parse a text; throws a SyntaxError if it is not JSON, a RepeatedMember if a member is repeated.
 * @param {string} text @returns {Json} */
export declare function parse(text: string): Json;
