/** Keeps a WebSocket open, reconnects when it closes, and polls while WebSockets do not work. */
/** @import { Refusal } from "./frames.js" */
/** @import { Requests } from "./requests.js" */
/** @import { Status } from "./lifecycle.js" */
/** @import { Session } from "./session.js" */
/** @import { Accepted } from "./socket.js" */
import { toExpiry, toNotification } from "./frames.js";
import { openSocket } from "./socket.js";
import { around, backoffDelay, createTimer, shared, TIMING, within } from "./tasks.js";

/** @param {Session} session @param {Requests} requests
 * @param {string} [device] */
export function createConnection(session, { origin, check }, device) {
  /** For the next attempt to connect or, while there is a socket, for the refresh. */
  const timer = createTimer();
  const pollTimer = createTimer();
  let /** @type {ReturnType<typeof openSocket> | undefined} */ socket;
  /** The session that the socket was accepted for: what it brings is about no other. */
  let /** @type {string | undefined} */ sidOfSocket;
  let /** @type {string | undefined} */ token;
  let attempt = 0;
  /** WebSockets in a row that did not get through: from two of them on, the hub is polled. */
  let failures = 0;

  const connect = shared(async () => {
    if (socket || !session.live) return;
    timer.stop();
    report("connecting");
    try {
      token = await session.credentials.next();
      if (session.live) socket = openSocket(origin, { token, device }, handlers);
    } catch (error) {
      // An error in the app's function, reported once per series of failures.
      if (!failures) console.warn("logout-hub: token:", error);
      void closed();
    }
  });

  const handlers = {
    /** @param {Accepted} told */
    accepted({ session: sid, user, expires_in }) {
      attempt = 0;
      sidOfSocket = sid;
      stopPolling();
      void session.dispatch("accepted", sid, user);
      report("connected");
      refreshBefore(expires_in);
    },
    closed,
    /** @param {string} name @param {any} data @param {(result: object) => void} answer */
    event(name, data, answer) {
      if (name !== "logoutNotification") return;
      const expiry = toExpiry(data);
      // Scripts cannot see whether a cookie was renewed, so ask the hub.
      if (expiry) socket?.close(token !== undefined && expiry);
      else void session.dispatch("ended", toNotification(data), answer);
    },
  };

  /** While polling, the status is that of the polls. @param {Status} status */
  function report(status) {
    if (failures < 2) void session.dispatch("status", status);
  }

  /** Asks for a newer token after most of the lifetime, and repeatedly while there is none.
   * @param {any} [seconds] until the token expires */
  function refreshBefore(seconds) {
    // With anything but a number, the timer would fire at once.
    if (!(seconds >= 1)) return;
    const own = socket;
    timer.start(Math.min(seconds * 800, 2 ** 30), async () => {
      const next = await session.credentials.next().catch(() => token);
      const isNew = next !== token && !session.logouts;
      const answer = isNew && (await ask("refresh", { token: next }));
      const { ok, expires_in = seconds / 5 } = answer || {};
      if (socket !== own || !session.live) return;
      if (ok) token = next;
      refreshBefore(expires_in);
    });
  }

  /** @param {Refusal | false} [refusal] */
  async function closed(refusal) {
    const gotThrough = refusal || socket?.isOpen();
    if (gotThrough) stopPolling();
    socket = sidOfSocket = undefined;
    report("disconnected");
    const again = refusal && (await session.dispatch("refused", refusal, token));
    if (!session.live) return;
    if (!gotThrough && ++failures === 2) void poll();
    timer.start(again ? 0 : failures > 1 ? around(TIMING.retry) : backoffDelay(attempt++), connect);
  }

  async function poll() {
    const alive = await check();
    if (failures < 2) return;
    // A hub that answers again after an outage most likely accepts sockets again.
    if (alive && session.status !== "polling") void connect();
    void session.dispatch("status", alive ? "polling" : "disconnected");
    pollTimer.start(around(TIMING.poll), poll);
  }

  function stopPolling() {
    failures = 0;
    pollTimer.stop();
  }

  /** The hub closes the socket on our acknowledgement; the timer is for a hub that does not. */
  function stop() {
    stopPolling();
    timer.start(TIMING.accept, () => socket?.close());
  }

  /** @param {string} name @param {object} data @returns {Promise<any>} */
  const ask = async (name, data) =>
    socket?.isOpen() && within(TIMING.answer, () => socket?.ask(name, data)).catch(() => {});

  return {
    ask,
    async wake() {
      attempt = 0;
      if (failures > 1) void poll();
      if (socket?.isStale()) socket.close();
      if (!socket?.isOpen()) void connect();
      // When the hub does not confirm the session, the socket is replaced.
      else if (!(await check()) && session.live) socket?.close();
    },
    /** The session may have been confirmed over HTTP, as the user's newer one.
     * @param {boolean} isNew */
    accepted(isNew) {
      if (isNew && sidOfSocket && sidOfSocket !== session.sid) socket?.close();
    },
    stopped: stop,
    ended: stop,
    closed() {
      stopPolling();
      timer.stop();
      socket?.close();
    },
  };
}
