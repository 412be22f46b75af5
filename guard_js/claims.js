/** Reads the claims of a token, strictly, by the names that its issuer uses.
 *
 * A claim that is null counts as absent. A claim is looked up by its literal name first, and then as
 * a path: `amr.0.timestamp` is the member `timestamp` of the first element of `amr`. The functions
 * throw a `HubError` with the code `token_invalid`.
 */
import { HubError } from "./errors.js";
import { micros } from "./names.js";
import { parse, RepeatedMember } from "./strict-json.js";

/** @typedef {import("./strict-json.js").Json} Json */
/** @typedef {Map<string, Json>} Claims */

const MAX_NAME_LENGTH = 256;
const MAX_DATE = 253_402_300_799; // 9999-12-31, RFC 3339's last day
const MAX_NUMBER = 2n ** 63n - 1n;
const MALFORMED = "not a signed JWT in compact form";
/** Controls, surrogates and unassigned characters. */
const UNNAMEABLE = /[\p{Cc}\p{Cs}\p{Cn}]/u;
/** What separates words in Python, which is what the hub is written in. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: some of them are blank
const BLANK = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;
const TIMESTAMP =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/** @param {string} detail */
export const invalid = (detail) => new HubError("token_invalid", detail);

/** The number of characters, as people count them. @param {string} text */
export const lengthOf = (text) => [...text].length;

/** The JSON object in a part of a token. @param {string} part @returns {Claims} */
export function readPart(part) {
  if (!/^[\w-]+$/.test(part) || part.length % 4 === 1) throw invalid(MALFORMED);
  const bytes = Buffer.from(part, "base64url");
  let value;
  try {
    value = parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    const isRepeated = error instanceof RepeatedMember;
    throw invalid(isRepeated ? "a member is repeated in the token" : MALFORMED);
  }
  if (!(value instanceof Map)) throw invalid(MALFORMED);
  return value;
}

/** The value of a claim, by its name or else its path; null if it is absent.
 * @param {Claims} claims @param {string} name @returns {Json} */
export function findClaim(claims, name) {
  const found = claims.get(name) ?? null;
  return found !== null || !name.includes(".") ? found : follow(claims, name.split("."));
}

/** The value at a path; a member whose name holds dots takes several steps.
 * @param {Json} value @param {string[]} steps @returns {Json} */
function follow(value, steps) {
  if (steps.length === 0 || value === null) return value;
  const [step, ...rest] = steps;
  if (Array.isArray(value)) {
    const isIndex = /^\d{1,3}$/.test(step) && Number(step) < value.length;
    return isIndex ? follow(value[Number(step)], rest) : null;
  }
  if (!(value instanceof Map)) return null;
  for (let count = steps.length; count > 0; count -= 1) {
    const found = value.get(steps.slice(0, count).join(".")) ?? null;
    if (found !== null) return follow(found, steps.slice(count));
  }
  return null;
}

/** The name and value of the first of these claims that is present, or ["", null].
 * @param {Claims} claims @param {readonly string[]} names @returns {[string, Json]} */
export function firstClaim(claims, names) {
  for (const name of names) {
    const value = findClaim(claims, name);
    if (value !== null) return [name, value];
  }
  return ["", null];
}

/** The name of a user or a session; a whole number is converted to decimal text.
 * @param {string} claim @param {Json} value */
export function readId(claim, value) {
  if (typeof value === "bigint" && value <= MAX_NUMBER && value >= -MAX_NUMBER) return `${value}`;
  return readName(claim, value);
}

/** The name in a claim. @param {string} claim @param {Json} value */
export function readName(claim, value) {
  if (typeof value !== "string" || value === "" || lengthOf(value) > MAX_NAME_LENGTH)
    throw invalid(`the claim ${claim} is not a string of 1 to ${MAX_NAME_LENGTH}`);
  if (UNNAMEABLE.test(value))
    throw invalid(`the claim ${claim} holds a control or an unassigned character`);
  return value;
}

/** The time in a claim, in microseconds: a NumericDate (RFC 7519 section 2).
 * @param {string} claim @param {Json} value */
export function readDate(claim, value) {
  if (typeof value !== "bigint" && typeof value !== "number")
    throw invalid(`the claim ${claim} is not a number`);
  if (!(value >= 0 && value <= MAX_DATE)) throw invalid(`the claim ${claim} is no date`);
  return micros(Number(value));
}

/** The time of a login, from a NumericDate or an RFC 3339 text; undefined for 0.
 * @param {string} claim @param {Json} value */
export function readLoginTime(claim, value) {
  const found = typeof value === "string" ? TIMESTAMP.exec(value) : null;
  return found ? readTimestamp(found) : readDate(claim, value) || undefined;
}

/** @param {RegExpExecArray} found */
function readTimestamp(found) {
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  // Days since 1970-01-01 in the Gregorian calendar. The year is counted from March, so that the
  // leap day is its last.
  const [years, months] = month < 3 ? [year - 1, month + 9] : [year, month - 3];
  const leaps = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  const days = 365 * years + leaps + Math.floor((153 * months + 2) / 5) + day;
  const [, , , , , , , fraction = "", zone] = found;
  const sign = zone[0] === "-" ? -60 : 60;
  const ahead =
    zone.length > 1 ? (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4))) * sign : 0;
  const seconds = (days - 719_469) * 86_400 + hour * 3600 + minute * 60 + second - ahead;
  return Math.max(0, seconds) * 1e6 + Number(fraction.padEnd(6, "0").slice(0, 6));
}

/** The words of a claim: a space-separated string, or a list of strings.
 * @param {string} claim @param {Json} value @returns {string[]} */
export function readWords(claim, value) {
  if (value === null) return [];
  if (typeof value === "string") return value.split(BLANK).filter(Boolean);
  if (isTexts(value)) return value;
  throw invalid(`the claim ${claim} is neither a string nor a list of strings`);
}

/** @param {Json} value @returns {value is string[]} */
export const isTexts = (value) =>
  Array.isArray(value) && value.every((one) => typeof one === "string");
