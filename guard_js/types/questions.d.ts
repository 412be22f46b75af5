/** A guard's calls to the hub: whether a token is accepted, and to end a session. */
import { HubError } from "./errors.js";
export type Call = import("./transport.js").Call;
export type Answer = {
    refusal: HubError | undefined;
    askedAt: number;
};
/** Why the hub refuses a token, if it does, and when it was asked by the guard's clock.
 * @typedef {{refusal: HubError | undefined, askedAt: number}} Answer */
export declare class Questions {
    #private;
    /** @param {{addresses: () => readonly string[], clock: () => number,
     *   measure: (name: "ask_seconds" | "asks_failed", value: number) => void}} options `addresses` are
     *   the hub's, beginning with the best one; `clock` counts seconds, also while the machine sleeps */
    constructor({ addresses, clock, measure }: {
        addresses: () => readonly string[];
        clock: () => number;
        measure: (name: "ask_seconds" | "asks_failed", value: number) => void;
    });
    /** Why the hub refuses a token, if it does: `unavailable` if it does not say. A question that was
     * asked at most `age` seconds ago is not asked again, unless `mark` has changed: an answer from
     * before a logout arrived says nothing about that logout.
     * @param {string} token @param {number} age @param {string} mark the facts that are known
     * @param {string} [subject] what a question is the same about: the token
     * @returns {Promise<Answer>} */
    verify(token: string, age: number, mark: string, subject?: string): Promise<Answer>;
    /** Call the hub as an administrator; rejects with a HubError if it refuses.
     * @param {string} path @param {string} token @param {object} body @returns {Promise<any>} */
    command(path: string, token: string, body: object): Promise<any>;
}
