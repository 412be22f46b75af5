import type { Refusal } from "./frames.js";
export type Accepted = {
    session?: string;
    user?: string;
    expires_in?: number;
};
/** @typedef {{session?: string, user?: string, expires_in?: number}} Accepted what the hub says of
 *   the session: `expires_in` is in seconds */
/** @param {string} origin @param {{token?: string, device?: string}} auth
 * @param {{accepted: (told: Accepted) => void,
 *   closed: (refusal?: Refusal | false) => void,
 *   event: (name: string, data: any, answer: (data: any) => void) => void}} on
 *   `closed` is given the refusal if that was the cause */
export declare function openSocket(origin: string, auth: {
    token?: string;
    device?: string;
}, on: {
    accepted: (told: Accepted) => void;
    closed: (refusal?: Refusal | false) => void;
    event: (name: string, data: any, answer: (data: any) => void) => void;
}): {
    close: (refusal?: Refusal | false) => void;
    isOpen: () => boolean;
    /** Timers stop while a laptop sleeps; the clock does not. */
    isStale: () => boolean;
    /** Resolves to undefined if the socket closes before the answer.
     * @param {string} name @param {object} data @returns {Promise<any>} */
    ask: (name: string, data: object) => Promise<any>;
};
