/** Calls of the hub's HTTP API, with the token or the hub's cookie. */
/** @import { Session } from "./session.js" */
import { shared, TIMING } from "./tasks.js";

/** @typedef {ReturnType<typeof createRequests>} Requests */
/** @typedef {RequestInit & {headers?: Record<string, string>, ms?: number, token?: string}} Init `ms`
 *   is how long it may take */

/** @param {any} [problem] what the hub said, if it was the hub */
export const failure = (problem) =>
  Object.assign(Error(problem?.title ?? "The hub cannot be reached"), {
    code: problem?.code ?? "unavailable",
    problem,
  });

/** @param {string} key under which it counts once @param {object} command @returns {Init} */
export const postLogout = (key, command) => ({
  method: "POST",
  headers: { "Content-Type": "application/json", "Idempotency-Key": key },
  body: JSON.stringify(command),
});

/** @param {string | undefined} url @param {Session} session */
export function createRequests(url, { credentials, dispatch }) {
  const { origin, href } = new URL(url ?? location.origin);
  if (!/^https?:..[^/]+.$/.test(href)) throw TypeError(`no http origin: ${url}`);

  /** Sends a request with the given credentials. @param {string} path @param {Init} init
   * @returns {Promise<{status: number, body: any}>} */
  async function send(path, { token, ms = TIMING.accept, ...init }) {
    const response = await fetch(origin + path, {
      cache: "no-store",
      redirect: "error",
      keepalive: true,
      signal: AbortSignal.timeout(ms),
      ...init,
      ...(token === undefined
        ? { credentials: "include" }
        : { headers: { ...init.headers, Authorization: `Bearer ${token}` } }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Sends a request as this session, which a 401 ends. @param {string} path @param {Init} [init]
   * @returns {Promise<any>} what the hub answers, if it grants it */
  async function call(path, init) {
    const fail = () => {
      throw failure();
    };
    const token = await credentials.next().catch(fail);
    const { status, body } = await send(path, { ...init, token }).catch(fail);
    if (status < 300) {
      credentials.accepted();
      return body;
    }
    if (status === 401 && body?.code)
      if (await dispatch("refused", { ...body, logout: body }, token)) return call(path, init);
    throw failure(body);
  }

  return {
    origin,
    send,
    call,

    /** Confirms the session: only a 200 of the hub says that it is alive; a 401 ends it. */
    check: shared(async () => {
      const { sid, user } = (await call("/session").catch(() => {})) ?? {};
      if (sid) void dispatch("accepted", sid, user);
      return sid;
    }),
  };
}
