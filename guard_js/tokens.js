/** Verifies tokens: a token and a key in, an `Identity` or a `HubError` with `token_invalid` out.
 *
 * The signature, the form and the lifetime are checked here, without a clock; whether the token is
 * expired or revoked is decided by `judge`, by the store's clock. Algorithms are pinned by the
 * caller and never taken from the token (RFC 8725 section 3.1).
 */
import { createHash, verify } from "node:crypto";
import { compactVerify } from "jose";
import {
  findClaim,
  firstClaim,
  invalid,
  isTexts,
  lengthOf,
  readDate,
  readId,
  readLoginTime,
  readName,
  readPart,
  readWords,
} from "./claims.js";
import { userKey } from "./names.js";
import { checkKind, isTokenType } from "./token-kinds.js";

/** @typedef {import("node:crypto").KeyObject} KeyObject */
/** @typedef {import("./claims.js").Claims} Claims */
/** @typedef {import("./strict-json.js").Json} Json */
/** @typedef {import("./verdict.js").Identity} Identity */

/** The members of a header that help to find the key; trusted for nothing else.
 * @typedef {{alg: string, kid?: string}} Header */

/** What the tokens of an issuer entry must satisfy, and how their claims are named. Times are in
 * microseconds. Without `issuer` any `iss` is accepted, without `audience` any audience.
 * @typedef {{algorithms: readonly string[], maxLifetime: number, issuer?: string,
 *   aliases: readonly string[], audience?: readonly string[], audienceClaims: readonly string[],
 *   user: readonly string[], session: readonly string[], loginTime: readonly string[],
 *   leeway: number}} Rules */

const MAX_TOKEN_BYTES = 8192;
const MAX_KID_LENGTH = 256;

export const ALGORITHMS = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
];

/** Whether tokens with this `iss` belong to an entry. @param {Rules} rules @param {unknown} iss */
export const isOf = ({ issuer, aliases }, iss) =>
  issuer === undefined || iss === issuer || (typeof iss === "string" && aliases.includes(iss));

/** The header of a token, so that its issuer entry and its key can be looked up. It is refused if it
 * is too long, no JWT in compact form, repeats a member, uses an extension (`crit`, `b64`: RFC 7515
 * section 4.1.11, RFC 7797), or is of another kind (`typ`).
 * @param {string} token @returns {Header} */
export function readHeader(token) {
  if (token.length > MAX_TOKEN_BYTES || !/^[\0-\x7f]*$/.test(token))
    throw invalid(`a token is ASCII text of at most ${MAX_TOKEN_BYTES} bytes`);
  const parts = token.split(".");
  if (parts.length !== 3) throw invalid(describeForm(parts.length));
  // jose skips blanks in it.
  if (!/^[\w-]*$/.test(parts[2])) throw invalid("the signature is not base64url");
  const members = readPart(parts[0]);
  if (!isTokenType(members.has("typ") ? (members.get("typ") ?? null) : "JWT"))
    throw invalid("a token of another kind (typ)");
  if (members.has("crit") || members.has("b64"))
    throw invalid("critical extensions are not supported");
  const [alg, kid] = [members.get("alg"), members.get("kid")];
  if (typeof alg !== "string" || !ALGORITHMS.includes(alg))
    throw invalid("signed with an algorithm that is not allowed here");
  if (kid === undefined) return { alg };
  if (typeof kid !== "string" || lengthOf(kid) > MAX_KID_LENGTH)
    throw invalid("kid is not a short string");
  return { alg, kid };
}

/** @param {number} parts */
function describeForm(parts) {
  if (parts === 1) return "not a JWT: an opaque token says nothing that the guard could check";
  if (parts === 5) return "an encrypted token (JWE): have the issuer sign it without encrypting it";
  return "not a signed JWT in compact form";
}

/** The claims of a token without verifying its signature; they must not be trusted.
 * @param {string} token */
export const readClaims = (token) => readPart(token.split(".")[1]);

/** Verify the signature of a token by the pinned algorithms. Call `readHeader` first: it makes the
 * checks that need no key.
 * @param {string} token @param {KeyObject} key @param {Header} header @param {Rules} rules */
export async function checkSignature(token, key, { alg }, { algorithms }) {
  const refused = "the signature does not verify";
  if (!algorithms.includes(alg)) throw invalid(refused);
  try {
    if (key.asymmetricKeyType !== "ed448") await compactVerify(token, key, { algorithms: [alg] });
    else if (alg !== "EdDSA" || !verifyEd448(token, key)) throw invalid(refused);
  } catch {
    throw invalid(refused);
  }
}

/** jose leaves Ed448 (RFC 8037) out. @param {string} token @param {KeyObject} key */
function verifyEd448(token, key) {
  const end = token.lastIndexOf(".");
  const signature = Buffer.from(token.slice(end + 1), "base64url");
  return verify(null, Buffer.from(token.slice(0, end)), key, signature);
}

/** Check the claims of a token, and return its identity.
 * @param {Claims} claims @param {string} token @param {Rules} rules @returns {Identity} */
export function identify(claims, token, rules) {
  const [userClaim, user] = firstClaim(claims, rules.user);
  for (const claim of [userClaim || rules.user[0], "exp", "iat"])
    if (!userClaim || findClaim(claims, claim) === null)
      throw invalid(`the claim ${claim} is missing`);
  checkParties(claims, rules);
  checkKind(claims, rules.audience === undefined);
  const [iat, exp] = [readDate("iat", given(claims, "iat")), readDate("exp", given(claims, "exp"))];
  if (exp <= iat || exp - iat > rules.maxLifetime)
    throw invalid(
      `exp must follow iat by at most ${rules.maxLifetime / 1e6} seconds (maxLifetime)`,
    );
  const [sub, sid] = [readId(userClaim, user), readSession(claims, rules)];
  const [iss, nbf] = [given(claims, "iss"), given(claims, "nbf")];
  return {
    user: sub,
    iss: rules.issuer ?? (iss === null ? "" : readName("iss", iss)),
    userKey: userKey(rules.issuer ?? "", sub),
    sid: sid ?? tokenId(claims, token),
    iat,
    exp,
    nbf: nbf === null ? 0 : readDate("nbf", nbf),
    scopes: readWords(...firstClaim(claims, ["scope", "scp"])),
    loginAt: readLogin(claims, rules),
    perToken: sid === undefined,
    leeway: rules.leeway,
  };
}

/** @param {Claims} claims @param {string} name */
const given = (claims, name) => claims.get(name) ?? null;

/** @param {Claims} claims @param {Rules} rules */
function checkParties(claims, rules) {
  if (!isOf(rules, claims.get("iss"))) throw invalid("the token is of another issuer (iss)");
  const { audience, audienceClaims } = rules;
  if (audience === undefined) return;
  for (const claim of audienceClaims) {
    const names = readAudiences(claim, findClaim(claims, claim));
    if (names.some((name) => audience.includes(name))) return;
  }
  throw invalid(`the token is for another audience (${audienceClaims.join(", ")})`);
}

/** The audiences in a claim: one string, or a list (RFC 7519 section 4.1.3).
 * @param {string} claim @param {Json} names @returns {string[]} */
function readAudiences(claim, names) {
  if (typeof names === "string") return [names];
  if (names === null) return [];
  if (!isTexts(names)) throw invalid(`the claim ${claim} is not a string or a list of strings`);
  return names;
}

/** The session id in a token, unless it does not identify its login.
 * @param {Claims} claims @param {Rules} rules */
function readSession(claims, rules) {
  const [claim, value] = firstClaim(claims, rules.session);
  if (!claim) return undefined;
  if (claim !== "auth_time" && !rules.loginTime.includes(claim)) return readId(claim, value);
  // It identifies the login, since refreshes do not change it.
  const at = readLoginTime(claim, value);
  return at === undefined ? undefined : `t-${loginId(at)}`;
}

/** @param {number} at */
function loginId(at) {
  const fraction = at % 1e6;
  const whole = (at - fraction) / 1e6;
  return fraction ? `${whole}.${`${fraction}`.padStart(6, "0").replace(/0+$/, "")}` : `${whole}`;
}

/** @param {Claims} claims @param {Rules} rules */
function readLogin(claims, rules) {
  const [claim, value] = firstClaim(claims, rules.loginTime);
  return claim ? readLoginTime(claim, value) : undefined;
}

/** @param {Claims} claims @param {string} token */
function tokenId(claims, token) {
  const jti = given(claims, "jti");
  if (jti !== null) return readName("jti", jti);
  // The signature is left out, since it can be encoded in several ways.
  const signed = token.slice(0, token.lastIndexOf("."));
  return `h-${createHash("sha256").update(signed).digest("hex").slice(0, 40)}`;
}
