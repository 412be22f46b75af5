/** Mints the short-lived token with which a browser of an app without JWTs connects to the hub. */
import { SignJWT } from "jose";

/** @typedef {import("./tokens.js").Rules} Rules */

const LIFETIME = 300;

/** A ticket for a session. `now` is the store's time; `rules` are those of the issuer entry whose
 * secret signs. Times are in NumericDate seconds.
 * @param {{secret: string, rules?: Rules, issuer: string, user: string, sid: string, now: number,
 *   loginTime?: number, lifetime?: number, name?: string, claims?: Record<string, unknown>}} ticket */
export function signTicket({
  secret,
  rules,
  issuer,
  user,
  sid,
  now,
  loginTime,
  lifetime = LIFETIME,
  name,
  claims,
}) {
  const payload = {
    aud: rules?.audience?.[0],
    ...claims,
    iss: issuer || undefined,
    sub: user,
    sid,
    name,
    // With its fraction: a login right after a logout must not look as old as that.
    iat: now,
    exp: now + lifetime,
    auth_time: loginTime,
  };
  const alg = rules?.algorithms.find((one) => one.startsWith("HS")) ?? "HS256";
  return new SignJWT(payload).setProtectedHeader({ alg, typ: "JWT" }).sign(Buffer.from(secret));
}
