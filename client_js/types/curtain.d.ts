import type { Core, Part } from "./core.js";
export type Sheet = CSSStyleSheet & {
    hides: string;
    stilled: Set<HTMLElement>;
};
/** @typedef {CSSStyleSheet & {hides: string, stilled: Set<HTMLElement>}} Sheet `stilled` is what it
 *   made inert, and not the app */
/** In milliseconds: how often the clock is looked at; five times that is an absence. An object, as
 * TIMING. */
export declare const PACE: {
    tick: number;
};
/** @param {Core} core @returns {Part} */
export declare function curtain(core: Core): Part;
