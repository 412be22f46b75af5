import type { Core } from "./core.js";
/** Whether the hub may grant the same request later. @param {number} status */
export declare const isTransient: (status: number) => boolean;
/** @param {Core} core @param {string} [token] left out: the cookie
 * @returns {Promise<any>} the body of `GET /session`; undefined if there is no live session */
export declare function fetchSession({ requests }: Core, token?: string): Promise<any>;
/** @param {Core} core */
export declare function fetchLogin(core: Core): Promise<{
    token: string | undefined;
    login: any;
}>;
/** Whether another session has replaced this one, if the hub answers in time. If tokens do not
 * identify their login, each is a session of its own: then only another user counts as another.
 * @param {Core} core */
export declare function isReplaced(core: Core): Promise<any>;
