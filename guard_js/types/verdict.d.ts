/** The central rule: whether a token is revoked. It is `judge` of `hub/core/revocation.py`, without
 * the registered sessions. Times are microseconds since the epoch, by the store's clock.
 */
import { HubError } from "./errors.js";
export type Code = import("./errors.js").Code;
export type Identity = {
    user: string;
    iss: string;
    userKey: string;
    sid: string;
    iat: number;
    exp: number;
    nbf: number;
    loginAt?: number;
    scopes: string[];
    perToken: boolean;
    leeway: number;
};
export type Fact = {
    horizon: number;
    at: number;
    scope?: Scope;
    reason?: Reason;
    sid?: string;
};
/** @typedef {import("./errors.js").Code} Code */
/** Whose token it is, and when it is valid. `user` is the user's name within the issuer entry `iss`;
 * `userKey` combines both. `loginAt` is when the login began, if that is known.
 * @typedef {{user: string, iss: string, userKey: string, sid: string, iat: number, exp: number,
 *   nbf: number, loginAt?: number, scopes: string[], perToken: boolean, leeway: number}} Identity */
/** A logout as it concerns one session. It ends logins that began at or before `horizon`; `at` is
 * when it was written.
 * @typedef {{horizon: number, at: number, scope?: Scope, reason?: Reason, sid?: string}} Fact */
/** Which sessions of a user a logout ends. */
export declare const SCOPES: readonly ["all", "others", "session"];
/** Why sessions ended. */
export declare const REASONS: readonly ["user", "admin", "password_changed", "suspicious", "idle", "expired", "identity_provider", "policy"];
export type Scope = typeof SCOPES[number];
export type Reason = typeof REASONS[number];
export type Facts = {
    tombstone?: Fact;
    cutoffs: readonly Fact[];
};
/** Why a token is refused at the time `now`, if it is.
 * @param {Identity} identity @param {Facts} facts @param {number} now
 * @returns {HubError | undefined} */
export declare function judge(identity: Identity, { tombstone, cutoffs }: Facts, now: number): HubError | undefined;
/** The time that is compared with logouts. @param {Identity} identity */
export declare const begun: ({ iat, loginAt }: Identity) => number;
/** Whether a token belongs to a login that began after its session id was ended.
 * @param {Identity} identity @param {Fact} tombstone */
export declare function outlives({ loginAt }: Identity, tombstone: Fact): boolean;
/** The newest of several logouts. @param {readonly Fact[]} facts @returns {Fact | undefined} */
export declare function newest(facts: readonly Fact[]): Fact | undefined;
