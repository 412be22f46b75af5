/** What became of a logout, from the hub's receipt. */
import type { Outcome, Receipt } from "../core.js";
export type Line = {
    text: string;
    outcomes: Outcome[];
};
/** @param {Receipt} receipt @returns {Line[]} the sessions by what became of them, best first */
export declare function sortOutcomes({ sessions, complete }: Receipt): Line[];
/** Tells of each receipt until it is complete, some 20 s at most; a hub that cannot be asked any
 * more leaves it at the last known state.
 * @param {{receipt: (id: string, wait?: number) => Promise<Receipt>}} hub @param {Receipt} answer
 * @param {(receipt: Receipt) => unknown} tell */
export declare function followReceipt(hub: {
    receipt: (id: string, wait?: number) => Promise<Receipt>;
}, answer: Receipt, tell: (receipt: Receipt) => unknown): Promise<void>;
