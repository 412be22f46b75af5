/** Calls of the hub's HTTP API, with the token or the hub's cookie. */
/** @import { Session } from "./session.js" */
import { isObject, parseJson, toRefusal } from "./frames.js";
import { shared, TIMING } from "./tasks.js";

/** @typedef {ReturnType<typeof createRequests>} Requests */
/** @typedef {{headers?: object, body?: object, ms?: number, token?: string,
 *   credentials?: RequestCredentials}} Init `ms` is how long it may take */

/** @param {string} [code] @param {string} [title] @param {object} [details] */
export const failure = (code = "unavailable", title = "The hub cannot be reached", details = {}) =>
  Object.assign(new Error(title), details, { code });

/** Whether the same may be granted another time. @param {number} status */
export const isLater = (status) => status >= 500 || status === 429;

/** @param {string} [url] */
function originOf(url) {
  const { origin, pathname, protocol } = new URL(url ?? globalThis.location?.origin);
  if (pathname === "/" && /^https?:$/.test(protocol)) return origin;
  throw new TypeError(`url must be an http or https origin without a path: ${url}`);
}

/** @param {string | undefined} url @param {Session} session */
export function createRequests(url, session) {
  const origin = originOf(url);
  let etag = "";

  /** With the credentials given, whatever they are. @param {string} method @param {string} path
   * @param {Init} init @returns {Promise<{status: number, body: any, headers: Headers}>} */
  async function send(method, path, { headers, body, token, credentials, ms = TIMING.accept }) {
    const response = await fetch(origin + path, {
      method,
      cache: "no-store",
      redirect: "error",
      credentials: credentials ?? (token === undefined ? "include" : "same-origin"),
      keepalive: method !== "GET",
      signal: AbortSignal.timeout(ms),
      headers: {
        ...headers,
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        ...(body && { "Content-Type": "application/json" }),
      },
      body: body && JSON.stringify(body),
    });
    const answer = parseJson(await response.text());
    return { status: response.status, body: answer, headers: response.headers };
  }

  /** As this session, which a 401 ends. @param {string} method @param {string} path
   * @param {Init} [init] */
  async function request(method, path, init, retry = true) {
    const token = await session.credentials.next();
    const answer = await send(method, path, { ...init, token });
    const { status, body } = answer;
    if (status === 401 && body?.code) {
      const refusal = { ...toRefusal(body), retryable: false, logout: body };
      if ((await session.refused(refusal, token)) && retry)
        return request(method, path, init, false);
    }
    return answer;
  }

  async function check() {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await request("GET", "/session", { headers }).catch(() => undefined);
    const changed = answer?.status === 200 && isObject(answer.body);
    if (!answer || session.isHalted() || !(changed || answer.status === 304)) return false;
    if (changed) etag = answer.headers.get("etag") ?? "";
    session.accepted(answer.body?.sid, answer.body?.user);
    return true;
  }

  return {
    origin,
    send,

    /** Who is logged in by what the app has now, which may be another session than this one. */
    async present() {
      const token = await session.credentials.ask();
      const { status, body } = await send("GET", "/session", { token });
      if (isLater(status)) throw failure();
      return { token, now: status === 200 ? body : undefined };
    },

    /** @param {string} method @param {string} path @param {Init} [init]
     * @returns {Promise<any>} what the hub answers, if it grants it */
    async call(method, path, init) {
      const { status, body } = await request(method, path, init).catch((cause) => {
        throw failure(undefined, undefined, { cause });
      });
      if (status >= 200 && status < 300) return body;
      throw failure(body?.code, body?.title, { problem: body });
    },

    /** Is the session alive? Only a 200 or 304 of the hub says so; its 401 ends the session. */
    check: shared(check),
  };
}
