/** The result of a logout, from the hub's receipt. */
import type { Outcome, Receipt } from "../core.js";
export type Line = {
    text: string;
    outcomes: Outcome[];
};
/** @param {Receipt} receipt @returns {Line[]} the sessions by their outcome, best first */
export declare function sortOutcomes({ sessions, complete }: Receipt): Line[];
/** Calls `tell` with each receipt until it is complete, for about 20 s at most, or until the hub
 * does not answer.
 * @param {{receipt: (id: string, wait?: number) => Promise<Receipt>}} hub @param {Receipt} answer
 * @param {(receipt: Receipt) => unknown} tell */
export declare function followReceipt(hub: {
    receipt: (id: string, wait?: number) => Promise<Receipt>;
}, answer: Receipt, tell: (receipt: Receipt) => unknown): Promise<void>;
