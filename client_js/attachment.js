/** Uses an app's own socket.io-client socket instead of a connection of the hub's client. */
/** @import { Refusal } from "./frames.js" */
/** @import { Requests } from "./requests.js" */
/** @import { Session } from "./session.js" */
import { toExpiry, toNotification, toRefusal } from "./frames.js";
import { backoffDelay, createTimer, TIMING } from "./tasks.js";

/** @typedef {{connected: boolean, active: boolean, auth: any, io: any, connect: () => unknown,
 *   disconnect: () => unknown, on: (event: any, listener: any) => unknown,
 *   off: (event: any, listener: any) => unknown,
 *   timeout: (ms: number) => {emitWithAck: (event: any, ...args: any[]) => Promise<any>}}
 *   } StockSocket the part of socket.io-client's Socket that is used */

/** The token that the app's socket connects with, for HTTP calls as well.
 * @param {StockSocket} socket @returns {Promise<string | undefined>} */
export async function tokenOf({ auth }) {
  const data = typeof auth === "function" ? await new Promise(auth) : auth;
  return data?.token;
}

/** The origin that the app's socket connects to; undefined if that is the page's own.
 * @param {StockSocket} socket */
export function hubOf({ io }) {
  return io?.uri && new URL(new URL(io.uri).href.replace(/^ws/, "http")).origin;
}

/** @param {Session} session @param {Requests} requests @param {StockSocket} socket */
export function createAttachment(session, { check }, socket) {
  const retryTimer = createTimer();
  /** The token of this attempt to connect, if it was renewed for it. */
  let /** @type {string | undefined} */ renewed;
  /** Whether the hub has said since the socket connected which session it is for. */
  let /** @type {boolean | undefined} */ isKnown;
  let attempt = 0;
  /** @param {() => unknown} [work] */
  const retry = (work = () => socket.connect()) => retryTimer.start(backoffDelay(attempt++), work);

  /** @param {Refusal} refusal */
  async function refused(refusal) {
    const used = renewed ?? socket.auth?.token;
    const again = await session.dispatch("refused", refusal, used);
    renewed = again && (await session.credentials.next().catch(() => undefined));
    if (session.live) (renewed ? connect : retry)();
  }

  /** With the token that the hub was last sent. */
  function connect() {
    if (typeof socket.auth !== "function")
      socket.auth = { ...socket.auth, token: session.credentials.last() };
    socket.connect();
  }

  /** A connected socket is closed by the hub; one that is down must not connect again. */
  function stop() {
    retryTimer.stop();
    if (!socket.connected && session.status !== "closed") socket.disconnect();
  }

  async function confirm() {
    if (!(await check()) && socket.connected && session.live) retry(confirm);
  }

  /** @type {Record<string, (...args: any[]) => unknown>} */
  const handlers = {
    connect() {
      attempt = 0;
      void session.dispatch("accepted");
      isKnown = false;
      void session.dispatch("status", "connected");
      // A stock socket does not say which session it is for, which the app may have changed.
      void check();
    },
    disconnect(reason) {
      void session.dispatch("status", "disconnected");
      // At the next attempt, a token that was newer may have ended, and be replaced in turn.
      renewed = undefined;
      session.credentials.accepted();
      // The stock client gives up here; connecting again shows whether it was a logout.
      if (reason === "io server disconnect" && session.live) retry();
    },
    logoutNotification(data, answer) {
      const expiry = toExpiry(data);
      if (expiry) {
        answer?.({ cleared: false });
        void refused(expiry);
      } else void session.dispatch("ended", toNotification(data), answer);
    },
    connect_error({ data, message }) {
      if (!socket.active || data !== undefined) void refused(toRefusal(data, message));
      else handlers.disconnect();
    },
  };
  for (const event in handlers) socket.on(event, handlers[event]);

  if (socket.connected) void session.dispatch("status", "connected");
  else if (!socket.active) void session.dispatch("status", "disconnected");
  return {
    /** @param {string} name @param {object} data @returns {Promise<any>} */
    ask: async (name, data) =>
      socket.connected &&
      socket
        .timeout(TIMING.answer)
        .emitWithAck(name, data)
        .catch(() => undefined),
    wake: confirm,
    /** What the socket brings is about its own session, which may no longer be the confirmed one. */
    accepted(/** @type {boolean} */ isNew) {
      if (isNew && isKnown) {
        socket.disconnect();
        connect();
      } else isKnown = true;
    },
    stopped: stop,
    ended: stop,
    closed() {
      retryTimer.stop();
      for (const event in handlers) socket.off(event, handlers[event]);
    },
  };
}
