/** How long ago, in the words of a language. */

/** @type {[unit: Intl.RelativeTimeFormatUnit, seconds: number][]} */
const UNITS = [
  ["year", 31_556_952],
  ["month", 2_629_746],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** @param {string} lang @param {number} then @param {number} now both in seconds since 1970; what is
 *   to come (two clocks seldom agree) is now */
export function ago(lang, then, now) {
  const passed = Math.max(0, now - then);
  const [unit, size] = UNITS.find(([, seconds]) => passed >= seconds) ?? ["second", Infinity];
  const format = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
  // Of nothing, "ago" and not "in": -0.
  return format.format(-Math.floor(passed / size), unit);
}
