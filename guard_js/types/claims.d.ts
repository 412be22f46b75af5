/** Reads the claims of a token, strictly, by the names that its issuer uses.
 *
 * A claim that is null counts as absent. A claim is looked up by its literal name first, and then as
 * a path: `amr.0.timestamp` is the member `timestamp` of the first element of `amr`. The functions
 * throw a `HubError` with the code `token_invalid`.
 */
import { HubError } from "./errors.js";
export type Json = import("./strict-json.js").Json;
export type Claims = Map<string, Json>;
/** @param {string} detail */
export declare const invalid: (detail: string) => HubError;
/** The number of characters, as people count them. @param {string} text */
export declare const lengthOf: (text: string) => number;
/** The JSON object in a part of a token. @param {string} part @returns {Claims} */
export declare function readPart(part: string): Claims;
/** The value of a claim, by its name or else its path; null if it is absent.
 * @param {Claims} claims @param {string} name @returns {Json} */
export declare function findClaim(claims: Claims, name: string): Json;
/** The name and value of the first of these claims that is present, or ["", null].
 * @param {Claims} claims @param {readonly string[]} names @returns {[string, Json]} */
export declare function firstClaim(claims: Claims, names: readonly string[]): [string, Json];
/** The name of a user or a session; a whole number is converted to decimal text.
 * @param {string} claim @param {Json} value */
export declare function readId(claim: string, value: Json): string;
/** The name in a claim. @param {string} claim @param {Json} value */
export declare function readName(claim: string, value: Json): string;
/** The time in a claim, in microseconds: a NumericDate (RFC 7519 section 2).
 * @param {string} claim @param {Json} value */
export declare function readDate(claim: string, value: Json): number;
/** The time of a login, from a NumericDate or an RFC 3339 text; undefined for 0.
 * @param {string} claim @param {Json} value */
export declare function readLoginTime(claim: string, value: Json): number | undefined;
/** The words of a claim: a space-separated string, or a list of strings.
 * @param {string} claim @param {Json} value @returns {string[]} */
export declare function readWords(claim: string, value: Json): string[];
/** @param {Json} value @returns {value is string[]} */
export declare const isTexts: (value: Json) => value is string[];
