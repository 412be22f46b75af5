/** The central rule: whether a token is revoked. It is `judge` of `hub/core/revocation.py`, without
 * the registered sessions. Times are microseconds since the epoch, by the store's clock.
 */
import { HubError } from "./errors.js";

/** @typedef {import("./errors.js").Code} Code */

/** Whose token it is, and when it is valid. `user` is the user's name within the issuer entry `iss`;
 * `userKey` combines both. `loginAt` is when the login began, if that is known.
 * @typedef {{user: string, iss: string, userKey: string, sid: string, iat: number, exp: number,
 *   nbf: number, loginAt?: number, scopes: string[], perToken: boolean, leeway: number}} Identity */

/** A logout as it concerns one session. It ends logins that began at or before `horizon`; `at` is
 * when it was written.
 * @typedef {{horizon: number, at: number, scope?: Scope, reason?: Reason, sid?: string}} Fact */

/** Which sessions of a user a logout ends. */
export const SCOPES = /** @type {const} */ (["all", "others", "session"]);

/** Why sessions ended. */
export const REASONS = /** @type {const} */ ([
  "user",
  "admin",
  "password_changed",
  "suspicious",
  "idle",
  "expired",
  "identity_provider",
  "policy",
]);

/** @typedef {typeof SCOPES[number]} Scope */
/** @typedef {typeof REASONS[number]} Reason */

/** What is known of one session: the logout that ended it by name, and the cut-offs that did not
 * keep it. @typedef {{tombstone?: Fact, cutoffs: readonly Fact[]}} Facts */

const SECOND = 1e6;
const MAX_WAIT = 60 * SECOND;

/** Why a token is refused at the time `now`, if it is.
 * @param {Identity} identity @param {Facts} facts @param {number} now
 * @returns {HubError | undefined} */
export function judge(identity, { tombstone, cutoffs }, now) {
  if (tombstone && !outlives(identity, tombstone))
    return (
      refuse(identity, tombstone, now) ?? new HubError("token_revoked", "", { logout: tombstone })
    );
  const cutoff = newest(cutoffs);
  if (cutoff && begun(identity) <= cutoff.horizon) {
    const refusal = refuse(identity, cutoff, now);
    if (refusal) return refusal;
    // From then on, a token issued in whole seconds is newer than the cut-off.
    const wait = Math.max(0, (Math.floor(cutoff.horizon / SECOND) + 1) * SECOND - now);
    const more = { logout: cutoff, retryAfter: wait / SECOND };
    return new HubError("token_too_old", "get a token that is issued later", more);
  }
  if (identity.exp + identity.leeway <= now) return new HubError("token_expired");
  const early = begins(identity) - now;
  if (early > MAX_WAIT) return new HubError("token_invalid", "the token is not valid yet");
  if (early <= 0) return undefined;
  const why = "wait, or set the issuer's clock";
  return new HubError("token_not_yet_valid", why, { retryAfter: early / SECOND });
}

/** The time that is compared with logouts. @param {Identity} identity */
export const begun = ({ iat, loginAt }) => loginAt ?? iat;

/** Whether a token belongs to a login that began after its session id was ended.
 * @param {Identity} identity @param {Fact} tombstone */
export function outlives({ loginAt }, tombstone) {
  return loginAt !== undefined && loginAt > tombstone.horizon;
}

/** The newest of several logouts. @param {readonly Fact[]} facts @returns {Fact | undefined} */
export function newest(facts) {
  let found;
  for (const fact of facts) if (!found || fact.horizon > found.horizon) found = fact;
  return found;
}

/** Why a token that began no later than a logout is revoked; undefined if it may be newer.
 * @param {Identity} identity @param {Fact} logout @param {number} now */
function refuse(identity, logout, now) {
  if (identity.loginAt !== undefined && identity.iat > logout.at) {
    const maxAge = Math.floor(Math.max(0, now - logout.at) / SECOND);
    return new HubError("login_required", "", { logout, maxAge });
  }
  if (issuedUntil(begun(identity)) < logout.horizon)
    return new HubError("token_revoked", "", { logout });
  return undefined;
}

/** The last instant that a time in a token can mean. @param {number} at */
const issuedUntil = (at) => (at % SECOND === 0 ? at + SECOND - 1 : at);

/** The time from which a token is accepted, unless it is revoked. @param {Identity} identity */
function begins(identity) {
  return Math.max(identity.iat, identity.nbf, begun(identity)) - identity.leeway - SECOND;
}
