/** Keeps a WebSocket open, one after another, and polls while none gets through. */
/** @import { Refusal } from "./frames.js" */
/** @import { Requests } from "./requests.js" */
/** @import { Session, State } from "./session.js" */
import { toExpiry, toNotification } from "./frames.js";
import { openSocket } from "./socket.js";
import { around, backoffDelay, createTimer, TIMING, within } from "./tasks.js";

/** @param {Session} session @param {Requests} requests
 * @param {string} [device] */
export function createConnection(session, { origin, check }, device) {
  const { credentials } = session;
  /** Of the next try, or of the refresh while there is a socket. */
  const timer = createTimer();
  const pollTimer = createTimer();
  let /** @type {ReturnType<typeof openSocket> | undefined} */ socket;
  let /** @type {string | undefined} */ token;
  let starting = false;
  let polling = false;
  let reachable = false;
  let attempt = 0;
  let failures = 0;

  async function connect() {
    if (starting || socket || session.isHalted()) return;
    timer.stop();
    starting = true;
    show("connecting");
    try {
      token = await credentials.next();
      if (!session.isHalted()) socket = openSocket(origin, { token, device }, handlers);
    } catch (error) {
      // The app's own mistake, said once a row of failures.
      if (!failures) console.warn("logout-hub: token:", error);
      void closed();
    }
    starting = false;
  }

  const handlers = {
    /** @param {string} [sid] @param {string} [user] @param {number} [left] seconds */
    accepted(sid, user, left) {
      attempt = failures = 0;
      stopPolling();
      session.accepted(sid, user);
      show("connected");
      refreshIn(left);
    },
    closed,
    /** @param {string} name @param {any} data @param {(result: object) => void} answer */
    event(name, data, answer) {
      if (name !== "logoutNotification") return;
      const expiry = toExpiry(data);
      // A cookie may have been renewed unseen, which only the hub can tell.
      if (expiry) socket?.leave(token === undefined ? undefined : expiry);
      else void session.finish(toNotification(data), answer);
    },
  };

  /** While polling, it is the polls that say how things stand. @param {State} state */
  function show(state) {
    if (!polling) session.show(state);
  }

  /** Asks for a newer token after most of the time, again and again while there is none.
   * @param {number} [left] seconds */
  function refreshIn(left = 0) {
    // What is no number would be no wait at all.
    if (!(left >= 1)) return;
    const own = socket;
    timer.start(Math.min(left * 800, 2 ** 30), async () => {
      const next = await credentials.next().catch(() => token);
      const isNew = next !== token && !session.isLeaving();
      const answer = isNew && (await ask("refresh", { token: next }).catch(() => {}));
      const { ok, expires_in = left / 5 } = answer || {};
      if (socket !== own || session.isHalted()) return;
      if (ok) token = next;
      refreshIn(expires_in);
    });
  }

  /** @param {Refusal} [refusal] */
  async function closed(refusal) {
    failures = refusal || socket?.isLive() ? 0 : failures + 1;
    socket = undefined;
    if (refusal) stopPolling();
    show("disconnected");
    const again = refusal && (await session.refused(refusal, token));
    if (session.isHalted()) return;
    if (failures >= 2 && !polling) {
      polling = reachable = true;
      void poll();
    }
    const delay = polling ? around(TIMING.retry) : backoffDelay(attempt++);
    timer.start(again ? 0 : delay, connect);
  }

  async function poll() {
    const alive = await check();
    if (!polling) return;
    session.show(alive ? "polling" : "disconnected");
    // A hub that is back after an outage most likely takes sockets again.
    if (alive && !reachable) timer.start(0, connect);
    reachable = alive;
    pollTimer.start(around(TIMING.poll), poll);
  }

  function stopPolling() {
    polling = false;
    pollTimer.stop();
  }

  /** A socket whose session the hub does not confirm is not trusted any more. */
  async function confirm() {
    if ((await check()) || session.isHalted()) return;
    socket?.leave();
    void connect();
  }

  /** @param {string} name @param {object} data @returns {Promise<any>} */
  const ask = async (name, data) =>
    socket?.isLive() && within(TIMING.answer, () => socket?.ask(name, data));

  return {
    ask,
    wake() {
      attempt = 0;
      if (polling) void poll();
      if (socket?.isStale()) socket.leave();
      void (socket?.isLive() ? confirm() : connect());
    },
    /** The hub cuts once it has our ack; the timer is for a hub that does not. */
    halt() {
      stopPolling();
      timer.start(TIMING.accept, () => socket?.leave());
    },
    close() {
      stopPolling();
      timer.stop();
      socket?.leave();
    },
  };
}
