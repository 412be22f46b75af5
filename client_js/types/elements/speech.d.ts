import type { Receipt } from "../core.js";
import type { Words } from "./texts.js";
export type Speech = (Node | string)[];
/** @typedef {(Node | string)[]} Speech */
/** @param {Words} words @param {string} key
 * @param {Record<string, Node | Speech | string | number>} [values] @returns {Speech} */
export declare function say({ lang, texts }: Words, key: string, values?: Record<string, Node | Speech | string | number>): Speech;
/** @param {Words} words @param {string} device @returns {string} its name, in their language */
export declare function nameOf({ texts }: Words, device: string): string;
/** @param {Words} words @param {string[]} devices @returns {Speech} not too many of them; those of
 * one name are counted */
export declare function nameAll(words: Words, devices: string[]): Speech;
/** @param {Words} words @param {Receipt} receipt @param {string | undefined} own the own session
 * @param {boolean} isOver whether that one has ended
 * @returns {HTMLElement[]} how many devices are logged out, and their outcomes */
export declare function describeReceipt(words: Words, receipt: Receipt, own: string | undefined, isOver: boolean): HTMLElement[];
/** @param {Words} words @param {string} message the app's own words, if any */
export declare const describeEnd: (words: Words, message: string) => any[];
/** Whether asking again may help. @param {any} error */
export declare const isPassing: ({ code }: any) => boolean;
/** @param {Words} words @param {any} error what the hub's client rejected with */
export declare const describeError: (words: Words, { code }: any) => Speech;
