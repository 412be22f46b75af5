/** What a guard asks of the hub itself: whether a token is good, and that a session ends. */
import { HubError } from "./errors.js";
export type Call = import("./transport.js").Call;
export declare class Questions {
    #private;
    /** @param {() => readonly string[]} addresses the hub's, the best one first */
    constructor(addresses: () => readonly string[]);
    /** Why the hub refuses a token, if it does: `unavailable` if it does not say. A question that was
     * asked at most `age` seconds ago is not asked again, unless `mark` has changed: an answer from
     * before a logout was heard says nothing of it.
     * @param {string} token @param {number} age @param {string} mark the facts that are known
     * @returns {Promise<HubError | undefined>} */
    verify(token: string, age: number, mark: string): Promise<HubError | undefined>;
    /** Call the hub as an administrator; rejects with a HubError if it refuses.
     * @param {string} path @param {string} token @param {object} body @returns {Promise<any>} */
    command(path: string, token: string, body: object): Promise<any>;
}
