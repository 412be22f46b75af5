import type { Cleared } from "./clearing.js";
import type { Hooks } from "./core.js";
import type { LogoutNotification, Refusal } from "./frames.js";
export type Status = "connecting" | "connected" | "polling" | "disconnected" | "ended" | "closed";
export type SessionState = {
    live: boolean;
    status: Status;
    /**
     * the number of logouts of this session in progress
     */
    logouts: number;
    /**
     * the session's id, once the hub has sent it
     */
    sid?: string;
    /**
     * whose session it is, once the hub has sent it
     */
    user?: string;
    /**
     * why the session is over
     */
    why?: LogoutNotification;
};
export type Effect = [
    "clear",
    why: LogoutNotification,
    answer?: (result: Cleared) => void,
    replaced?: boolean
] | ["announce", why?: LogoutNotification] | ["renew", refusal: Refusal, used: unknown] | ["onerror", error: {
    code: string;
    title?: string;
    detail?: string;
}] | [hook: keyof Hooks, ...args: any[]];
export type Step = [changes: Partial<SessionState>, ...Effect[]];
export type Transitions = typeof TRANSITIONS;
/** @typedef {"connecting" | "connected" | "polling" | "disconnected" | "ended" | "closed"} Status */
/** @typedef {object} SessionState
 * @property {boolean} live
 * @property {Status} status
 * @property {number} logouts the number of logouts of this session in progress
 * @property {string} [sid] the session's id, once the hub has sent it
 * @property {string} [user] whose session it is, once the hub has sent it
 * @property {LogoutNotification} [why] why the session is over
 */
/** @typedef {["clear", why: LogoutNotification, answer?: (result: Cleared) => void,
 *     replaced?: boolean]
 *   | ["announce", why?: LogoutNotification]
 *   | ["renew", refusal: Refusal, used: unknown]
 *   | ["onerror", error: {code: string, title?: string, detail?: string}]
 *   | [hook: keyof Hooks, ...args: any[]]} Effect */
/** @typedef {[changes: Partial<SessionState>, ...Effect[]]} Step */
/** @typedef {typeof TRANSITIONS} Transitions */
/** @type {SessionState} */
export declare const START: SessionState;
/** By event. An event that comes too late has no effect. */
export declare const TRANSITIONS: {
    /** The connection has another status.
     * @param {SessionState} state @param {Status} status @returns {Step | false} */
    status: ({ live }: SessionState, status: Status) => Step | false;
    /** The hub has confirmed that the session is alive, and may have said whose it is.
     * @param {SessionState} state @param {string} [told] its id @param {string} [user]
     * @returns {Step | undefined} */
    accepted(state: SessionState, told?: string, user?: string): Step | undefined;
    /** The hub has refused the session.
     * @param {SessionState} state @param {Refusal} refusal @param {unknown} used the refused token
     * @param {boolean} [isFinal] there is no newer token @returns {Step | undefined} */
    refused(state: SessionState, refusal: Refusal, used: unknown, isFinal?: boolean): Step | undefined;
    /** The app logs this session out: from now on nothing prolongs it or shows private content.
     * @param {SessionState} state @returns {Step} */
    logoutStarted: ({ logouts }: SessionState) => Step;
    /** The hub did not grant that logout, or could not be reached.
     * @param {SessionState} state @returns {Step} */
    logoutFailed: ({ logouts }: SessionState) => Step;
    /** The session is over.
     * @param {SessionState} state @param {LogoutNotification} why
     * @param {(result: Cleared) => void} [answer] called when it is cleared
     * @param {boolean} [replaced] whether a newer login has replaced it in this browser. By default
     *   that is asked; but a logout of the app clears here, whatever session its token is of by now
     * @returns {Step} */
    ended(state: SessionState, why: LogoutNotification, answer?: (result: Cleared) => void, replaced?: boolean): Step;
    /** Everything that can be cleared is cleared.
     * @param {SessionState} state @returns {Step | false | undefined} */
    cleared: ({ status, why }: SessionState) => Step | false | undefined;
    /** The app has closed the client. @returns {Step} */
    closed: () => Step;
};
export type Details<Name extends keyof Transitions> = Parameters<Transitions[Name]> extends [any, ...infer Rest] ? Rest : [];
/** The arguments of an event.
 * @template {keyof Transitions} Name
 * @typedef {Parameters<Transitions[Name]> extends [any, ...infer Rest] ? Rest : []} Details */
