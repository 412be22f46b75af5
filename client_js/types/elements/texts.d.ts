/** The texts of the elements, in English and German; pages can replace them or add languages. */
export type Text = string | {
    [category: string]: string;
};
export type Texts = Record<string, Text>;
/** Notifies the elements of a page that texts have changed. */
export declare const wordings: EventTarget;
/** Replaces texts of a language, or adds a language; omitted texts stay, or are English.
 * @param {string} lang a language tag, such as `fr` or `de-CH` @param {Texts} texts */
export declare function setTexts(lang: string, texts: Texts): void;
export type Words = {
    lang: string;
    texts: Texts;
};
/** @typedef {{lang: string, texts: Texts}} Words */
/** @param {string} wanted a language tag, as of an attribute `lang`
 * @returns {Words} the nearest language that there is, and its texts */
export declare function textsFor(wanted: string): Words;
/** @template T @param {string} lang @param {Text} text @param {Record<string, any>} values
 * @param {(value: any) => T} wrap
 * @returns {(string | T)[]} the text in pieces, with the values, wrapped, in their places */
export declare function fill<T>(lang: string, text: Text, values: Record<string, any>, wrap: (value: any) => T): (string | T)[];
