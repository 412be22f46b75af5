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
  /** @type {any} */
  const data = typeof auth === "function" ? await new Promise((resolve) => auth(resolve)) : auth;
  return data?.token;
}

/** The origin that the app's socket connects to; undefined if that is the page's own.
 * @param {StockSocket} socket */
export function hubOf({ io }) {
  if (!io?.uri) return undefined;
  const hub = new URL(io.uri);
  hub.protocol = hub.protocol.replace("ws", "http");
  return hub.origin;
}

/** @param {Session} session @param {Requests} requests @param {StockSocket} socket */
export function createAttachment(session, { check }, socket) {
  const retryTimer = createTimer();
  let attempt = 0;
  /** @param {() => unknown} [work] */
  const retry = (work = () => socket.connect()) => retryTimer.start(backoffDelay(attempt++), work);

  /** @param {Refusal} refusal */
  async function refused(refusal) {
    const used = session.credentials.renewed() ?? socket.auth?.token;
    const again = await session.dispatch("refused", refusal, used);
    if (again && typeof socket.auth !== "function")
      socket.auth = { ...socket.auth, token: await session.credentials.next() };
    if (!session.live) return;
    if (again) socket.connect();
    else retry();
  }

  /** A connected socket is closed by the hub; one that is down must not connect again. */
  function stop() {
    retryTimer.stop();
    if (!socket.connected && session.status !== "closed") socket.disconnect();
  }

  async function confirm() {
    if (!(await check()) && session.live && socket.connected) retry(confirm);
  }

  /** @type {Record<string, (...args: any[]) => unknown>} */
  const handlers = {
    connect() {
      attempt = 0;
      void session.dispatch("accepted");
      void session.dispatch("status", "connected");
      // A stock socket does not say which session it is for, which the app may have changed.
      void check();
    },
    disconnect(reason) {
      void session.dispatch("status", "disconnected");
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
    },
  };
  for (const event in handlers) socket.on(event, handlers[event]);

  if (socket.connected) void session.dispatch("status", "connected");
  else if (!socket.active) void session.dispatch("status", "disconnected");
  return {
    /** @param {string} name @param {object} data @returns {Promise<any>} */
    ask: async (name, data) =>
      socket.connected && socket.timeout(TIMING.answer).emitWithAck(name, data),
    wake: confirm,
    stopped: stop,
    ended: stop,
    closed() {
      retryTimer.stop();
      for (const event in handlers) socket.off(event, handlers[event]);
    },
  };
}
