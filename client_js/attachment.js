/** An app's own socket.io-client socket, listened to. */
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

/** What the app's socket connects with serves the HTTP calls as well.
 * @param {StockSocket} socket @returns {Promise<string | undefined>} */
export async function tokenOf({ auth }) {
  /** @type {any} */
  const data = typeof auth === "function" ? await new Promise((resolve) => auth(resolve)) : auth;
  return data?.token;
}

/** @param {StockSocket} socket */
export const hubOf = ({ io }) => io?.uri && new URL(io.uri.replace("ws", "http")).origin;

/** @param {Session} session @param {Requests} requests @param {StockSocket} socket */
export function createAttachment(session, { check }, socket) {
  const retryTimer = createTimer();
  let attempt = 0;
  const retry = () => retryTimer.start(backoffDelay(attempt++), () => socket.connect());

  /** @param {Refusal} refusal */
  async function refused(refusal) {
    const used = session.credentials.renewed() ?? socket.auth?.token;
    const again = await session.refused(refusal, used);
    if (again && typeof socket.auth !== "function")
      socket.auth = { ...socket.auth, token: await session.credentials.next() };
    if (session.isHalted()) return;
    if (again) socket.connect();
    else retry();
  }

  async function confirm() {
    if (!(await check()) && !session.isHalted() && socket.connected)
      retryTimer.start(backoffDelay(attempt++), confirm);
  }

  /** @type {Record<string, (...args: any[]) => unknown>} */
  const handlers = {
    connect() {
      attempt = 0;
      session.accepted();
      session.show("connected");
      // A stock socket does not tell whose session it is, which the app may have changed.
      void check();
    },
    disconnect(reason) {
      session.show("disconnected");
      // The stock client gives up here; connecting again tells whether it was a logout.
      if (reason === "io server disconnect" && !session.isHalted()) retry();
    },
    logoutNotification(data, answer) {
      const expiry = toExpiry(data);
      if (expiry) {
        answer?.({ cleared: false });
        void refused(expiry);
      } else void session.finish(toNotification(data), answer);
    },
    connect_error({ data, message }) {
      if (!socket.active || data !== undefined) void refused(toRefusal(data, message));
    },
  };
  for (const [event, handler] of Object.entries(handlers)) socket.on(event, handler);

  if (socket.connected) session.show("connected");
  else if (!socket.active) session.show("disconnected");
  return {
    /** @param {string} name @param {object} data @returns {Promise<any>} */
    ask: async (name, data) =>
      socket.connected && socket.timeout(TIMING.answer).emitWithAck(name, data),
    wake: confirm,
    /** A live socket is left to the hub's cut, one that is down must not come back. */
    halt() {
      retryTimer.stop();
      if (!socket.connected) socket.disconnect();
    },
    close() {
      retryTimer.stop();
      for (const [event, handler] of Object.entries(handlers)) socket.off(event, handler);
    },
  };
}
