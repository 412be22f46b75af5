/** Decides whether a session is admitted: by what the feed said, or if that is not enough, by the
 * hub's answer.
 *
 * An answer of the hub only holds for the facts that were known when it was asked: if a logout that
 * concerns the session arrives in the meantime, the session is judged again.
 */
import { HubError } from "./errors.js";
export type FeedState = import("./feed-state.js").FeedState;
export type Known = import("./known-tokens.js").Known;
export type Questions = import("./questions.js").Questions;
export type Names = import("./revocations.js").Names;
export type Facts = import("./verdict.js").Facts;
export type Identity = import("./verdict.js").Identity;
export type OnStale = "ask" | "refuse" | "allow";
export type Session = {
    identity: Identity;
    names: Names;
    known?: Known;
};
export type Finding = {
    facts: Facts;
    isFresh: boolean;
    refusal?: HubError;
};
export declare class Admission {
    #private;
    /** @param {{state: FeedState, clock: () => number, questions: Questions, maxStaleness: number,
     *   onStale: OnStale, mintTicket: (identity: Identity) => Promise<string>}} options `mintTicket`
     *   makes a token for an app's own session, to ask the hub with */
    constructor({ state, clock, questions, maxStaleness, onStale, mintTicket }: {
        state: FeedState;
        clock: () => number;
        questions: Questions;
        maxStaleness: number;
        onStale: OnStale;
        mintTicket: (identity: Identity) => Promise<string>;
    });
    /** Throw or reject with a HubError unless the session is alive.
     * @param {Session} session @returns {Promise<void> | undefined} usually undefined: no wait */
    admit(session: Session): Promise<void> | undefined;
    /** What is known of a session. @param {Names} names */
    factsOf(names: Names): import("./verdict.js").Facts;
}
