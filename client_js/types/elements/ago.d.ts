/** How long ago, in the words of a language. */
/** @param {string} lang @param {number} then @param {number} now both in seconds since 1970; what is
 *   to come (two clocks seldom agree) is now */
export declare function ago(lang: string, then: number, now: number): string;
