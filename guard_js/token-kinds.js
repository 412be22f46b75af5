/** Tells access tokens from other kinds of tokens, which are refused.
 *
 * An issuer signs its logout tokens, security events, refresh tokens and ID tokens with the same keys
 * (RFC 8725 section 2.8), and not every issuer sets `typ`. So the claims are checked too.
 */
import { invalid } from "./claims.js";

/** @typedef {import("./claims.js").Claims} Claims */
/** @typedef {import("./strict-json.js").Json} Json */

const TOKEN_TYPES = ["jwt", "at+jwt"];
const KIND_CLAIMS = ["token_type", "tokenType", "token_use", "typ"];
const REFRESH_KINDS = ["refresh", "refresh-token", "offline"];
const ACCESS_KINDS = ["bearer", "access", "access-token", "at+jwt"];
const ID_KINDS = ["id", "id-token"];
const ID_TOKEN_CLAIMS = ["nonce", "at_hash", "c_hash", "s_hash"];

/** Whether `typ` of a header may be that of an access token. @param {Json} kind */
export function isTokenType(kind) {
  return (
    typeof kind === "string" &&
    TOKEN_TYPES.includes(kind.toLowerCase().replace(/^application\//, ""))
  );
}

/** Check that claims are those of an access token; throws `token_invalid`.
 *
 * ID tokens are refused only if any audience is accepted, since nothing else would stop them then.
 * @param {Claims} claims @param {boolean} anyAudience */
export function checkKind(claims, anyAudience) {
  if ((claims.get("events") ?? null) !== null)
    throw invalid("a logout token or another event (events): send the access token");
  const kinds = KIND_CLAIMS.filter((claim) => claims.has(claim)).map(
    (claim) => /** @type {const} */ ([claim, word(claims.get(claim) ?? null)]),
  );
  for (const [claim, kind] of kinds)
    if (REFRESH_KINDS.includes(kind))
      throw invalid(`a refresh token (${claim}): send the access token`);
  if (!anyAudience || kinds.some(([, kind]) => ACCESS_KINDS.includes(kind))) return;
  const telling = [
    ...kinds.filter(([, kind]) => ID_KINDS.includes(kind)).map(([claim]) => claim),
    ...ID_TOKEN_CLAIMS.filter((claim) => (claims.get(claim) ?? null) !== null),
  ];
  if (telling.length > 0)
    throw invalid(`an ID token (${telling[0]}): set an audience, or send the access token`);
}

/** @param {Json} kind */
const word = (kind) => (typeof kind === "string" ? kind.toLowerCase().replaceAll("_", "-") : "");
