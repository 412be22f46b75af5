/** What the feed of a hub has said so far: the revocations, and how fresh they are.
 *
 * Facts only ever add up: each counts at once, and those from before a `reset` stay, since the replica
 * that sends it may know less than the one before. How fresh the facts are, and from where to go on,
 * counts once all have come (`ready`).
 */
import { Freshness } from "./freshness.js";
import { Revocations } from "./revocations.js";
export type Event = import("./events.js").Event;
export type Confirmation = import("./freshness.js").Confirmation;
export type Revocation = import("./revocations.js").Revocation;
export type Heard = {
    logout?: Revocation;
    isReady?: boolean;
    isConfirmed?: boolean;
    isReset?: boolean;
};
export declare class FeedState {
    #private;
    revocations: Revocations;
    freshness: Freshness;
    isReady: boolean;
    partitions: number;
    /** For how many seconds a logout is remembered. */
    lifetime: number;
    /** The `Last-Event-ID` of a request that is sent at `askedAt`, or "". Call it before that is sent:
     * what is written afterwards may be missing. @param {number} askedAt */
    begin(askedAt: number): string;
    /** Note that the response to the request had begun. @param {number} now */
    answer(now: number): void;
    /** Do what an event says; throws an Error if that cannot be understood.
     * @param {Event} event @param {number} now when it came @returns {Heard} */
    take({ type, data, id }: Event, now: number): Heard;
}
