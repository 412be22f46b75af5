/** Tokens as an issuer signs them, for both servers. */
import { createHmac } from "node:crypto";

export const SECRET = "a secret of the wire tests that is long enough";

/** @param {object} part */
const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");

/** @param {string} user @param {string} sid @param {number} [lifetime] seconds; less than 0: over
 * @returns {string} */
export function signToken(user, sid, lifetime = 600) {
  const now = Date.now() / 1000;
  const body = encode({
    sub: user,
    sid,
    iat: Math.min(now, now + lifetime - 1),
    exp: now + lifetime,
  });
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${body}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** @param {string | undefined} token
 * @returns {{sub: string, sid: string, iat: number, exp: number} | undefined} not verified */
export function readToken(token = "") {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  } catch {
    return undefined;
  }
}
