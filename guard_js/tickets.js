/** Mints the short-lived token with which a browser of an app without JWTs connects to the hub. */
import { SignJWT } from "jose";
import { HubError } from "./errors.js";

/** @typedef {import("./issuers.js").Entry} Entry */
/** @typedef {import("./issuers.js").Issuers} Issuers */

/** Times are in seconds.
 * @typedef {object} TicketOptions
 * @property {string} [issuer] the `iss` of the user's issuer entry
 * @property {number} [loginTime] when the login began, by `guard.now()`
 * @property {number} [lifetime] how long the ticket is valid: 300
 * @property {string} [name] the user's name, for people
 * @property {Record<string, unknown>} [claims] further claims
 */

const LIFETIME = 300;

/** A ticket for a session, with the claims that the issuer entry with the secret expects. `now` is
 * the store's time. Rejects with `unavailable` if there is no secret.
 * @param {Issuers} issuers @param {string | undefined} secret
 * @param {{user: string, sid: string, now: number} & TicketOptions} ticket */
export async function signTicket(issuers, secret, { user, sid, now, ...options }) {
  const { issuer, loginTime, lifetime = LIFETIME, name, claims } = options;
  const entry = findSigning(issuers, issuer);
  const key = secret ?? entry?.secret;
  if (key === undefined)
    throw new HubError("unavailable", "the guard has no secret to sign tickets with");
  const rules = entry?.rules;
  const payload = {
    iss: (issuer ?? rules?.issuer) || undefined,
    aud: rules?.audienceClaims.includes("aud") ? rules.audience?.[0] : undefined,
    name,
    ...claims,
    [rules?.user[0] ?? "sub"]: user,
    [sessionClaim(rules?.session)]: sid,
    [rules?.loginTime[0] ?? "auth_time"]: loginTime,
    // With its fraction: a login right after a logout must not look as old as the logout.
    iat: now,
    exp: now + lifetime,
  };
  const header = { alg: rules?.algorithms[0] ?? "HS256", typ: "JWT" };
  return new SignJWT(payload).setProtectedHeader(header).sign(Buffer.from(key));
}

/** @param {Issuers} issuers @param {string} [issuer] @returns {Entry | undefined} */
function findSigning(issuers, issuer) {
  const named = issuer === undefined ? undefined : issuers.find(issuer);
  const found = named ?? issuers.entries.find(({ secret }) => secret !== undefined);
  return found?.secret === undefined ? undefined : found;
}

/** @param {readonly string[]} [names] */
const sessionClaim = (names = ["sid"]) => (names.includes("sid") ? "sid" : names[0]);
