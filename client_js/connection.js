/** Keeps a WebSocket open, reconnects when it closes, and polls while WebSockets do not work. */
/** @import { Refusal } from "./frames.js" */
/** @import { Requests } from "./requests.js" */
/** @import { Status } from "./lifecycle.js" */
/** @import { Session } from "./session.js" */
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
  let /** @type {string | undefined} */ token;
  let /** @type {boolean | undefined} */ polling;
  let /** @type {boolean | undefined} */ reachable;
  let attempt = 0;
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
    /** @param {string} [sid] @param {string} [user] @param {number} [expiresIn] seconds */
    accepted(sid, user, expiresIn) {
      attempt = failures = 0;
      stopPolling();
      void session.dispatch("accepted", sid, user);
      report("connected");
      refreshBefore(expiresIn);
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
    if (!polling) void session.dispatch("status", status);
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
      const answer = isNew && (await ask("refresh", { token: next }).catch(() => {}));
      const { ok, expires_in = seconds / 5 } = answer || {};
      if (socket !== own || !session.live) return;
      if (ok) token = next;
      refreshBefore(expires_in);
    });
  }

  /** @param {Refusal | false} [refusal] */
  async function closed(refusal) {
    failures = refusal || socket?.isOpen() ? 0 : failures + 1;
    socket = undefined;
    if (refusal) stopPolling();
    report("disconnected");
    const again = refusal && (await session.dispatch("refused", refusal, token));
    if (!session.live) return;
    if (failures >= 2 && !polling) {
      polling = reachable = true;
      void poll();
    }

    timer.start(again ? 0 : polling ? around(TIMING.retry) : backoffDelay(attempt++), connect);
  }

  async function poll() {
    const alive = await check();
    if (!polling) return;
    void session.dispatch("status", alive ? "polling" : "disconnected");
    // A hub that answers again after an outage most likely accepts sockets again.
    if (alive && !reachable) void connect();
    reachable = alive;
    pollTimer.start(around(TIMING.poll), poll);
  }

  function stopPolling() {
    polling = false;
    pollTimer.stop();
  }

  /** When the hub does not confirm the session, the socket is replaced. */
  async function confirm() {
    if ((await check()) || !session.live) return;
    socket?.close();
    void connect();
  }

  /** The hub closes the socket on our acknowledgement; the timer is for a hub that does not. */
  function stop() {
    stopPolling();
    timer.start(TIMING.accept, () => socket?.close());
  }

  /** @param {string} name @param {object} data @returns {Promise<any>} */
  const ask = async (name, data) =>
    socket?.isOpen() && within(TIMING.answer, () => socket?.ask(name, data));

  return {
    ask,
    wake() {
      attempt = 0;
      if (polling) void poll();
      if (socket?.isStale()) socket.close();
      void (socket?.isOpen() ? confirm() : connect());
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
