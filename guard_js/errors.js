/** The errors of a guard: the hub's codes, and how they are answered over HTTP. */

/** @typedef {import("./verdict.js").Fact} Fact */

/** The status and the title of each. @satisfies {Record<string, [status: number, title: string]>} */
const KINDS = {
  token_missing: [401, "No token was sent"],
  token_invalid: [401, "The token is not valid"],
  token_expired: [401, "The token has expired"],
  token_revoked: [401, "The session was logged out"],
  token_too_old: [401, "The token was issued in the same second as a logout"],
  token_not_yet_valid: [401, "The token is not valid yet"],
  login_required: [401, "The login was ended: log in again"],
  forbidden: [403, "Not allowed"],
  origin_not_allowed: [403, "The origin is not allowed"],
  not_found: [404, "Not found"],
  invalid_request: [400, "The request is not valid"],
  rate_limited: [429, "Too many requests"],
  unavailable: [503, "The hub cannot answer now"],
};

/** @typedef {keyof typeof KINDS} Code */

/** @type {ReadonlySet<Code>} */
const RETRYABLE = new Set(["token_not_yet_valid", "rate_limited", "unavailable"]);

/** A refusal. `code` is stable, for programs; `title` is for people; `detail` says what was wrong.
 * `logout` is what ended the session, `retryAfter` is how many seconds to wait before trying again,
 * and `maxAge`, with `login_required`, how many seconds ago the login was ended. */
export class HubError extends Error {
  /** @param {Code} code @param {string} [detail]
   * @param {{logout?: Fact, retryAfter?: number, maxAge?: number, cause?: unknown}} [more] */
  constructor(code, detail = "", { logout, retryAfter, maxAge, cause } = {}) {
    const [status, title] = KINDS[code];
    super(detail || title, { cause });
    this.name = "HubError";
    this.code = code;
    this.status = status;
    this.title = title;
    this.detail = detail || title;
    this.retryable = RETRYABLE.has(code);
    this.logout = logout;
    this.retryAfter = retryAfter;
    this.maxAge = maxAge;
  }
}

/** Whether a text is a code that a hub answers with. @param {unknown} code @returns {code is Code} */
export const isCode = (code) => typeof code === "string" && Object.hasOwn(KINDS, code);

/** The answer to an error, as problem details (RFC 9457): the same as the hub's.
 * @param {HubError} error
 * @returns {{status: number, headers: Record<string, string>, body: string}} */
export function problem(error) {
  const { logout } = error;
  const members = {
    type: `urn:logout-hub:error:${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.detail,
    code: error.code,
    scope: logout?.scope,
    reason: logout?.reason,
    at: logout && logout.at / 1e6,
    reauthenticate: error.code === "login_required" || undefined,
    retryable: error.retryable || undefined,
  };
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/problem+json", "Cache-Control": "no-store" };
  if (error.status === 401) headers["WWW-Authenticate"] = challenge(error);
  if (error.retryable || error.retryAfter !== undefined)
    headers["Retry-After"] = `${Math.max(1, Math.ceil(error.retryAfter ?? 0))}`;
  return { status: error.status, headers, body: JSON.stringify(members) };
}

/** @param {HubError} error */
function challenge(error) {
  const scheme = 'Bearer realm="logout-hub"';
  // RFC 6750 section 3: no error code when no credentials were sent.
  if (error.code === "token_missing") return scheme;
  if (error.code !== "login_required") return `${scheme}, error="invalid_token"`;
  // RFC 9470 section 3: how old a login may be, so that a client asks for a newer one.
  return (
    `${scheme}, error="insufficient_user_authentication"` +
    `, error_description="${error.title}", max_age="${error.maxAge ?? 0}"`
  );
}
