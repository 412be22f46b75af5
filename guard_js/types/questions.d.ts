/** A guard's calls to the hub: whether a token is accepted, and to end a session. */
import { HubError } from "./errors.js";
export type Call = import("./transport.js").Call;
export declare class Questions {
    #private;
    /** @param {() => readonly string[]} addresses the hub's, beginning with the best one */
    constructor(addresses: () => readonly string[]);
    /** Why the hub refuses a token, if it does: `unavailable` if it does not say. A question that was
     * asked at most `age` seconds ago is not asked again, unless `mark` has changed: an answer from
     * before a logout arrived says nothing about that logout.
     * @param {string} token @param {number} age @param {string} mark the facts that are known
     * @returns {Promise<HubError | undefined>} */
    verify(token: string, age: number, mark: string): Promise<HubError | undefined>;
    /** Call the hub as an administrator; rejects with a HubError if it refuses.
     * @param {string} path @param {string} token @param {object} body @returns {Promise<any>} */
    command(path: string, token: string, body: object): Promise<any>;
}
