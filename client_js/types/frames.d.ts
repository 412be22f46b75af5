/**
 * What the hub sends: packets of Socket.IO 5 in Engine.IO 4, and why a session ended.
 *
 * @typedef {{id?: string, scope?: string, reason?: string, message?: string | null,
 *   sid?: string | null, at?: number, by?: string, profile?: string, pending?: boolean,
 *   reauthenticate?: boolean}}
 *   LogoutNotification why the session ended, as far as known; `by` is the issuer that said so,
 *   `profile` how much it wants cleared; `pending` if the logout has not reached the hub
 *   yet; `reauthenticate` if the provider would still let the old login in (`prompt=login`)
 * @typedef {{code: string, title?: string, detail?: string, retryable?: boolean, logout?: object}} Refusal
 */
export type LogoutNotification = {
    id?: string;
    scope?: string;
    reason?: string;
    message?: string | null;
    sid?: string | null;
    at?: number;
    by?: string;
    profile?: string;
    pending?: boolean;
    reauthenticate?: boolean;
};
export type Refusal = {
    code: string;
    title?: string;
    detail?: string;
    retryable?: boolean;
    logout?: object;
};
/** @param {any} data @returns {[kind: string, body: any, id: string]} kind as digits: of
 *   Engine.IO, and of Socket.IO in a message; the body is null if there is none
 * @throws {Error} if it is not a packet */
export declare function parseFrame(data: any): [kind: string, body: any, id: string];
/** @param {any} source @param {LogoutNotification} [otherwise] @returns {LogoutNotification} */
export declare function toNotification(source: any, otherwise?: LogoutNotification): LogoutNotification;
/** @param {LogoutNotification | undefined} data
 * @returns {Refusal | false} what it is when a token expired */
export declare const toExpiry: (data: LogoutNotification | undefined) => Refusal | false;
/** @param {any} data what came with a CONNECT_ERROR @param {string} message @returns {Refusal} */
export declare const toRefusal: (data: any, message: string) => Refusal;
