/** What all middleware of the guard shares: exempt paths, credentials, and how requests are refused. */
import { HubError, problem } from "./errors.js";

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */

/** The login behind an app's own session; `loggedInAt` is by `guard.now()`.
 * @typedef {{user: string, sid: string, loggedInAt: number, issuer?: string}} Login */

/** @template Request
 * @typedef {object} GateOptions
 * @property {readonly string[]} [exempt] paths that need no session, such as `/health`, or `/static/*`
 *   for all that start with `/static/`
 * @property {string} [loginUrl] where a browser that navigates without a living session is redirected
 *   (303), with the address it wanted in `next`; other requests get problem details (RFC 9457)
 * @property {string} [cookie] the cookie that holds the token, for requests without `Authorization`
 * @property {readonly string[]} [origins] other origins whose pages may use the cookie
 * @property {(request: Request) => Login | null | undefined | Promise<Login | null | undefined>} [session]
 *   for the app's own sessions: returns the login of a request. Tokens are then ignored
 * @property {(request: Request) => unknown} [forget] drops an app's session that has ended: by default
 *   `request.session.regenerate` of express-session
 * @property {boolean} [require] whether requests without credentials are refused: true
 */

/** @typedef {{status: number, headers: Record<string, string>, body: string}} Answer */

const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];
/** What an app might resolve to another path. */
const AMBIGUOUS = /\.\.|\/\/|\\|%2e|%2f|%5c/i;

/** @template {IncomingMessage} Request */
export class Gate {
  #guard;
  #options;
  #exact;
  #prefixes;

  /** @param {Guard} guard @param {GateOptions<Request>} [options] */
  constructor(guard, options = {}) {
    const { exempt = [], loginUrl } = options;
    const paths = [...exempt];
    // Otherwise, it would redirect to itself.
    if (loginUrl?.startsWith("/")) paths.push(pathOf(loginUrl));
    const wrong = paths.find((path) => !/^[/*]/.test(path));
    if (wrong !== undefined) throw new Error(`exempt: paths begin with a slash: ${wrong}`);
    this.#guard = guard;
    const origins = (options.origins ?? []).map(browserOrigin);
    this.#options = { require: true, ...options, origins };
    this.#exact = new Set(paths.filter((path) => !path.endsWith("*")));
    this.#prefixes = paths.filter((path) => path.endsWith("*")).map((path) => path.slice(0, -1));
  }

  /** Who sent a request; undefined if it may be without credentials, and is. Rejects with a HubError,
   * or what a function of the app throws.
   * @param {Request} request @param {Identity} [before] who it is by the middleware before this one
   * @returns {Promise<Identity | undefined>} */
  async admit(request, before) {
    if (this.#isExempt(pathOf(addressOf(request))) || isPreflight(request)) return before;
    const identity =
      (await (this.#options.session ? this.#bySession(request) : this.#byToken(request))) ?? before;
    if (!identity && this.#options.require) throw new HubError("token_missing");
    return identity;
  }

  /** How a request is refused: problem details, or a redirect to the login for a page.
   * @param {unknown} error @param {Request} request @returns {Answer} */
  refuse(error, request) {
    const known =
      error instanceof HubError ? error : new HubError("unavailable", "", { cause: error });
    const { loginUrl } = this.#options;
    if (loginUrl === undefined || known.status !== 401 || !isNavigation(request))
      return problem(known);
    const location = SAFE_METHODS.includes(request.method ?? "")
      ? `${loginUrl}${loginUrl.includes("?") ? "&" : "?"}next=${encodeURIComponent(ownAddress(request))}`
      : loginUrl; // its body is lost, and a GET of the address may not be a page
    const headers = {
      Location: location,
      "Cache-Control": "no-store",
      "Content-Type": "text/plain",
    };
    return { status: 303, headers, body: "" };
  }

  /** @param {string} path */
  #isExempt(path) {
    if (this.#exact.has(path)) return true;
    return this.#prefixes.some((one) => path.startsWith(one)) && !AMBIGUOUS.test(path);
  }

  /** @param {Request} request */
  async #bySession(request) {
    const login = await this.#options.session?.(request);
    if (!login) return undefined;
    const { user, sid, loggedInAt, issuer } = login;
    try {
      return await this.#guard.checkSession(user, sid, loggedInAt, { issuer });
    } catch (error) {
      const isOver = error instanceof HubError && error.status === 401 && !error.retryable;
      if (isOver) await (this.#options.forget ?? regenerate)(request);
      throw error;
    }
  }

  /** @param {Request} request */
  async #byToken(request) {
    const { authorization, cookie = "" } = request.headers;
    // Node goes by the first one; what is before or behind it may go by another.
    if (countOf(request, "authorization") > 1)
      throw new HubError("token_invalid", "there are several headers Authorization");
    const [scheme, token = ""] = (authorization ?? "").split(/ +(.*)/s);
    if (scheme)
      return /^bearer$/i.test(scheme) && token ? this.#guard.check(token.trim()) : undefined;
    const value = this.#options.cookie && findCookie(cookie, this.#options.cookie);
    if (!value) return undefined;
    const opensSocket = request.headers.upgrade !== undefined;
    if (opensSocket || !SAFE_METHODS.includes(request.method ?? "")) this.#checkOrigin(request);
    return this.#guard.check(value);
  }

  /** Check that a request with a cookie comes from the app's own pages, or from `origins`.
   * @param {Request} request */
  #checkOrigin({ headers }) {
    const { origin, host = headers[":authority"] } = headers; // the latter in HTTP/2
    if (!origin || headers["sec-fetch-site"] === "same-origin") return;
    const isOwn = URL.canParse(origin) && new URL(origin).host === `${host}`.toLowerCase();
    if (!isOwn && !this.#options.origins.includes(origin.toLowerCase()))
      throw new HubError("origin_not_allowed", `${origin.slice(0, 256)} is not on the list`);
  }
}

/** The address that was requested, even if a framework has stripped a prefix from `url`.
 * @param {IncomingMessage & {originalUrl?: string}} request */
const addressOf = ({ originalUrl, url = "/" }) => originalUrl ?? url;

/** @param {string} address */
const pathOf = (address) => address.split(/[?#]/, 1)[0];

/** How often a header is there. @param {IncomingMessage} request @param {string} name */
function countOf({ rawHeaders = [] }, name) {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at].toLowerCase() === name) count += 1;
  return count;
}

/** A CORS preflight carries no credentials (Fetch standard, section 3.3).
 * @param {IncomingMessage} request */
const isPreflight = ({ method, headers }) =>
  method === "OPTIONS" && headers["access-control-request-method"] !== undefined;

/** Whether a browser will show the response as a page (Fetch Metadata, section 2.2).
 * @param {IncomingMessage} request */
function isNavigation({ method = "", headers }) {
  const mode = headers["sec-fetch-mode"];
  if (mode !== undefined) return mode === "navigate";
  return ["GET", "HEAD"].includes(method) && /text\/html/i.test(headers.accept ?? "");
}

/** The address of a request, certainly on the same host: it begins with a single slash, since two
 * would name another host. @param {IncomingMessage} request */
function ownAddress(request) {
  const address = addressOf(request).replace(/[^\x21-\x7e]|[\\"<>]/g, encodeURIComponent);
  return `/${address.replace(/^\/+/, "")}`;
}

/** An origin in lower case, as browsers send it. Throws if none does, since it would match nothing.
 * @param {string} text */
function browserOrigin(text) {
  const given = text.toLowerCase();
  const { protocol, host } = URL.canParse(given) ? new URL(given) : { protocol: "", host: "" };
  const sent = `${protocol}//${host.replace(/\.(?=:|$)/, "")}`;
  if (!host) throw new Error(`origins: ${text} is not an origin like https://app.example`);
  if (host.includes("*")) throw new Error(`origins: ${text} would match none: write each one`);
  if (sent !== given) throw new Error(`origins: ${text} is not what browsers send: write ${sent}`);
  return sent;
}

/** The value of a cookie (RFC 6265). Several of one name are refused: a sibling subdomain can set
 * another, and a server cannot tell which is its own.
 * @param {string} header @param {string} name @returns {string | undefined} */
export function findCookie(header, name) {
  /** @type {Set<string>} */
  const found = new Set();
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    if (equals < 0 || strip(pair.slice(0, equals)) !== name) continue;
    found.add(strip(pair.slice(equals + 1)).replace(/^"|"$/g, ""));
  }
  if (found.size > 1)
    throw new HubError(
      "token_invalid",
      `several cookies are called ${name}: give it a name like __Host-${name}`,
    );
  return [...found][0];
}

/** @param {string} text */
const strip = (text) => text.replace(/^[ \t]+|[ \t]+$/g, "");

/** Give an ended session up, by express-session: a new one is begun, without anything in it.
 * @param {any} request @returns {Promise<void>} */
function regenerate({ session }) {
  if (typeof session?.regenerate !== "function") return Promise.resolve();
  return new Promise((resolve, reject) => {
    session.regenerate((/** @type {unknown} */ error) => (error ? reject(error) : resolve()));
  });
}
