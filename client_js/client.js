/**
 * The browser client of logout-hub: it learns that this session was ended, clears what the page
 * stored, tells the hub so, then tells the app. No dependencies. An import has no effect; a script
 * tag that asks for a client gets one.
 *
 * @typedef {{scope?: "all" | "others" | "session", sid?: string, reason?: string,
 *   message?: string}} LogoutOptions
 * @typedef {{ask: (name: string, data: object) => Promise<any>, wake: () => void, halt: () => void,
 *   close: () => void}} Link what carries a session: `ask` gives nothing when it cannot, `halt` is
 *   called when the session is over, `close` lets go at once
 * @typedef {{sid: string, device: string, state: "acknowledged" | "notified" | "cut" | "offline",
 *   failed?: string[]}} Outcome what became of a session, and what its client could not clear
 * @typedef {{id?: string, scope: string, reason?: string, at?: number, message?: string | null,
 *   sessions: Outcome[], complete?: boolean, pending?: boolean}} Receipt `pending` when the hub has
 *   not heard of the logout yet
 * @typedef {{sid: string, device: string, ip: string, created_at: number, last_seen_at: number,
 *   expires_at: number, online: boolean, current: boolean}} ListedSession times in s since 1970
 * @typedef {ReturnType<typeof createClient>} LogoutHub
 */
/** @import { StockSocket } from "./attachment.js" */
/** @import { LogoutNotification } from "./frames.js" */
/** @import { Command, Entry } from "./pending.js" */
/** @import { Requests } from "./requests.js" */
/** @import { Options, Session, State } from "./session.js" */
import { createAttachment, hubOf, stateOf, tokenOf } from "./attachment.js";
import { createConnection } from "./connection.js";
import { toNotification } from "./frames.js";
import { createPending } from "./pending.js";
import { createRequests, failure } from "./requests.js";
import { createSession } from "./session.js";
import { onLogoutClick, readTag } from "./tag.js";
import { backoffDelay, createTimer, TIMING } from "./tasks.js";

/** `randomUUID` exists on https pages only. */
const newKey = () => crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(5)).join("-");

/** @param {Options} options @param {State} state
 * @param {(session: Session, requests: Requests) => Link} linkFor */
function createClient(options, state, linkFor) {
  const session = createSession(options, state, {
    halt: () => link.halt(),
    wake: () => begin(),
    present: () => requests.present(),
  });
  const requests = createRequests(options.url, session);
  const pending = createPending(requests, session, delivered);
  const link = linkFor(session, requests);
  const timer = createTimer();
  let attempt = 0;

  /** What is owed to the hub comes first: a session that was logged out is not used again. */
  async function begin() {
    try {
      await pending.deliver();
      attempt = 0;
      if (!session.isHalted()) link.wake();
    } catch {
      // What is owed is owed by an app, too, that closes a client as soon as that has ended.
      if (!session.isClosed() || session.isOver()) timer.start(backoffDelay(attempt++), begin);
    }
  }

  /** @param {any} answer @param {Entry} entry @param {boolean} isOwn */
  function delivered(answer, { command, session: sid }, isOwn) {
    session.emit("delivered", answer);
    if (isOwn) void session.finish(toNotification(answer, { ...command, sid }));
  }

  /** What was begun before `close()` is still finished. */
  function assertOpen() {
    if (session.isClosed()) throw failure("closed", "This client is closed");
  }

  /** By the socket if it can be: the HTTP answer makes the browser clear what was to be kept.
   * @param {LogoutOptions} body @param {string} idempotencyKey */
  async function send(body, idempotencyKey) {
    // A socket that lost its network seems open for a while: a request fails at once.
    const offline = globalThis.navigator?.onLine === false;
    const asked = offline ? undefined : link.ask("logout", { ...body, idempotencyKey });
    const answer = await asked?.catch(() => undefined);
    if (answer?.ok === true) return answer;
    const code = answer?.error?.code;
    // By HTTP a newer token is asked for: who logs out is not to stay because the old one ended.
    if (answer?.ok === false && code !== "token_expired") throw failure(code, answer.error?.title);
    const headers = { "Idempotency-Key": idempotencyKey };
    return session.keeping(() => requests.call("POST", "/logout", { headers, body }));
  }

  /** Ends this session without the hub, which is told later.
   * @param {Command} command @param {string} key @param {LogoutNotification} why
   * @param {unknown} error thrown when the command cannot be kept */
  async function leaveOffline(command, key, why, error) {
    // Asked for twice, it is kept once.
    if (!session.isOver()) pending.keep({ key, command, ...session.identity() }, error);
    await session.finish(toNotification({ pending: true }, why));
    void begin();
    return { pending: true, scope: command.scope, sessions: [] };
  }

  /** @param {LogoutOptions} [wanted] @returns {Promise<Receipt>} */
  async function logout({ scope = "all", sid, reason, message } = {}) {
    assertOpen();
    if (scope === "session" && sid !== undefined && !session.sid()) await requests.check();
    const own =
      scope === "all" || (scope === "session" && (sid ?? session.sid()) === session.sid());
    const command = { scope, sid, reason, message };
    const why = { ...command, reason: reason ?? "user", sid: session.sid() };
    const key = newKey();
    if (own) session.leave();
    try {
      const answer = await send(command, key);
      if (own) await session.finish(toNotification(answer, why));
      return answer;
    } catch (error) {
      const { code, problem } = /** @type {any} */ (error);
      if (own && code === "unavailable") return leaveOffline(command, key, why, error);
      // The answer was lost, or a twin was faster: the session is over in the very way asked for.
      if (!own || code !== "token_revoked" || ![problem?.scope, "session"].includes(scope))
        throw error;
      return { id: problem?.id, scope, sessions: [] };
    }
  }

  void begin();
  return {
    /** Ends sessions, by default all. */
    logout,

    /** Ends one of the user's sessions. @param {string} sid */
    end: (sid) => logout({ scope: "session", sid }),

    /** @returns {Promise<ListedSession[]>} */
    async sessions() {
      assertOpen();
      return (await requests.call("GET", "/sessions")).sessions;
    },

    /** What became of a logout. @param {string} id
     * @param {number} [wait] seconds, up to 10, in which the last word may still come
     * @returns {Promise<Receipt>} */
    async receipt(id, wait = 0) {
      assertOpen();
      const path = `/logouts/${encodeURIComponent(id)}?wait=${wait}`;
      return requests.call("GET", path, { ms: TIMING.accept + wait * 1000 });
    },

    on: session.on,
    get session() {
      return session.sid();
    },
    get state() {
      return session.state();
    },
    close() {
      session.close();
      if (!session.isOver()) timer.stop();
      link.close();
    },
  };
}

/** Connects to the hub, and stays connected until the session ends or `close()`.
 * @param {Options} [options] @returns {LogoutHub} */
export function createLogoutHub(options = {}) {
  return createClient(options, "connecting", (session, requests) =>
    createConnection(session, requests, options.device),
  );
}

/** The same over a socket.io-client socket that the app has; `close()` leaves it to the app.
 * @param {StockSocket} socket @param {Options} [options] @returns {LogoutHub} */
export function attach(socket, options = {}) {
  const { url = hubOf(socket), token = () => tokenOf(socket) } = options;
  return createClient({ ...options, url, token }, stateOf(socket), (session, requests) =>
    createAttachment(session, requests, socket),
  );
}

function createPageHub() {
  const options = readTag(import.meta.url);
  if (!options) return undefined;
  const hub = createLogoutHub(options);
  onLogoutClick(hub.logout);
  return hub;
}

/** Pure, so that bundlers may leave it out: no tag names what they make. */
const hubOfPage = /* @__PURE__ */ createPageHub();

/** The hub that the page's script tag made, if one did. */
export const pageHub = () => hubOfPage;
