import type { Core, Hooks } from "./core.js";
export type Sheet = CSSStyleSheet & {
    hides: string;
    madeInert: Set<HTMLElement>;
};
/** @typedef {CSSStyleSheet & {hides: string, madeInert: Set<HTMLElement>}} Sheet `madeInert` by it,
 *   and not by the app */
/** In milliseconds: how often the clock is checked; a gap of five times that is an absence. An
 * object, as TIMING. */
export declare const PACE: {
    tick: number;
};
/** @param {Core} core @returns {Hooks} */
export declare function hiding(core: Core): Hooks;
