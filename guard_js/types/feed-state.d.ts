/** What the feed of a hub has said so far: the revocations, and how fresh they are.
 *
 * Facts are only ever added: each takes effect at once, and those from before a `reset` are kept,
 * since the replica that sends it may know less than the previous one. Freshness and the position to
 * resume from only count once all facts have arrived (`ready`).
 */
import { Freshness } from "./freshness.js";
import { Revocations } from "./revocations.js";
export type Event = import("./events.js").Event;
export type Confirmation = import("./freshness.js").Confirmation;
export type Revocation = import("./revocations.js").Revocation;
export type Update = {
    logout?: Revocation;
    missed?: Revocation[];
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
    /** How many seconds a logout is remembered. */
    lifetime: number;
    /** The `Last-Event-ID` for a request sent at `askedAt`, or "". Take `askedAt` before sending: the
     * response may lack what is written after that. @param {number} askedAt */
    begin(askedAt: number): string;
    /** Note that the response to the request has begun. @param {number} now */
    answer(now: number): void;
    /** Apply an event, and return what it brought; throws an Error if it cannot be understood.
     * @param {Event} event @param {number} now when it was read @returns {Update} */
    take({ type, data, id }: Event, now: number): Update;
}
