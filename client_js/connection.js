/** Keeps a WebSocket open, one after another, and polls while none gets through. */
/** @import { Refusal } from "./frames.js" */
/** @import { Requests } from "./requests.js" */
/** @import { Session, State } from "./session.js" */
import { toNotification } from "./frames.js";
import { openSocket } from "./socket.js";
import { around, backoffDelay, createTimer, TIMING, within } from "./tasks.js";

/** @param {Session} session @param {Requests} requests
 * @param {string} [device] */
export function createConnection(session, { origin, check }, device) {
  const timer = createTimer();
  const pollTimer = createTimer();
  let /** @type {ReturnType<typeof openSocket> | undefined} */ socket;
  let starting = false;
  let polling = false;
  let reachable = false;
  let attempt = 0;
  let failures = 0;

  async function connect() {
    timer.stop();
    if (starting || socket || session.isHalted()) return;
    starting = true;
    show("connecting");
    try {
      const token = await session.credentials.next();
      if (!session.isHalted()) socket = open(token);
    } catch {
      void closed(undefined);
    }
    starting = false;
  }

  /** @param {string | undefined} token */
  function open(token) {
    const auth = { token, device };
    return openSocket(origin, auth, {
      accepted,
      closed: (refusal) => closed(token, refusal),
      event(name, data, answer) {
        if (name === "logoutNotification") void session.finish(toNotification(data), answer);
      },
    });
  }

  /** While polling, it is the polls that say how things stand. @param {State} state */
  function show(state) {
    if (!polling) session.show(state);
  }

  /** @param {{session?: string}} told */
  function accepted(told) {
    attempt = failures = 0;
    stopPolling();
    session.accepted(told.session);
    show("connected");
  }

  /** @param {string | undefined} token @param {Refusal} [refusal] */
  async function closed(token, refusal) {
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
    const delay = polling ? around(TIMING.retryWhilePolling) : backoffDelay(attempt++);
    timer.start(again ? 0 : delay, connect);
  }

  async function poll() {
    const alive = await check();
    if (!polling) return;
    session.show(alive ? "polling" : "disconnected");
    // A hub that is back after an outage most likely takes sockets again.
    if (alive && !reachable) timer.start(0, connect);
    reachable = Boolean(alive);
    pollTimer.start(around(TIMING.poll), poll);
  }

  function stopPolling() {
    polling = false;
    pollTimer.stop();
  }

  void connect();
  return {
    /** @param {object} command @returns {Promise<any>} */
    ask: async (command) =>
      socket?.isLive() && within(TIMING.answer, () => socket?.ask("logout", command)),
    wake() {
      attempt = 0;
      if (polling) void poll();
      if (socket?.isStale()) socket.close();
      else if (socket?.isLive()) void check();
      void connect();
    },
    /** The hub cuts once it has our ack; the timer is for a hub that does not. */
    halt() {
      stopPolling();
      timer.start(TIMING.linger, () => socket?.close());
    },
    close() {
      stopPolling();
      timer.stop();
      socket?.close();
    },
  };
}
