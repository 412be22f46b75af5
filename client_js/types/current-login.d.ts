import type { Core } from "./core.js";
/** Whether the hub may grant the same request later. @param {number} status */
export declare const isTransient: (status: number) => boolean;
/** @param {Core} core @param {string} [token] left out: the cookie
 * @returns {Promise<any>} what `GET /session` says of it; undefined when it is of no live session */
export declare function fetchSession({ requests }: Core, token?: string): Promise<any>;
/** @param {Core} core */
export declare function fetchLogin(core: Core): Promise<{
    token: string | undefined;
    login: any;
}>;
/** Whether another session has replaced this one, as far as the hub says so in time. Where tokens
 * name no login, each is a session of its own: then only another user is another session.
 * @param {Core} core */
export declare function isReplaced(core: Core): Promise<any>;
