/** One WebSocket to the hub that speaks Engine.IO and Socket.IO. It calls `closed` once. */
/** @import { Refusal } from "./frames.js" */
import { parseFrame, toRefusal } from "./frames.js";
import { createTimer, TIMING } from "./tasks.js";

/** @typedef {{session?: string, user?: string, expires_in?: number}} Accepted what the hub says of
 *   the session: `expires_in` is in seconds */

/** @param {string} origin @param {{token?: string, device?: string}} auth
 * @param {{accepted: (told: Accepted) => void,
 *   closed: (refusal?: Refusal | false) => void,
 *   event: (name: string, data: any, answer: (data: any) => void) => void}} on
 *   `closed` is given the refusal if that was the cause */
export function openSocket(origin, auth, on) {
  const path = "/socket.io/?EIO=4&transport=websocket";
  const socket = new WebSocket(origin.replace(/^http/, "ws") + path);
  const deadline = createTimer();
  /** @type {((answer?: any) => void)[]} */
  const acks = [];
  let /** @type {boolean | undefined} */ closed;
  let connected = false;
  let timeout = 0;
  let lastPing = 0;

  /** @param {Refusal | false} [refusal] */
  function close(refusal) {
    if (closed) return;
    closed = true;
    deadline.stop();
    socket.close();
    for (const settle of acks) settle();
    on.closed(refusal);
  }

  /** @param {string} kind @param {unknown} body */
  const send = (kind, body) => socket.send(kind + JSON.stringify(body));

  function expectPing() {
    lastPing = Date.now();
    if (connected) deadline.start(timeout, close);
  }

  /** By the kind of packet; any other, and any that these cannot read, is an error.
   * @type {Record<string, (body: any, id: string) => void>} */
  const receive = {
    0({ pingInterval, pingTimeout }) {
      timeout = pingInterval + pingTimeout;
      // Timers of more than 2^31 ms fire at once.
      if (!(timeout < 2 ** 30)) close();
      send("40", auth);
    },
    2() {
      socket.send("3");
      expectPing();
    },
    6() {},
    40(told) {
      connected = true;
      expectPing();
      on.accepted(told);
    },
    42: ([name, data], id) => on.event(name, data, (answer) => id && send(`43${id}`, [answer])),
    43: ([data], id) => acks[+id]?.(data),
    44: ({ data, message }) => close(message && toRefusal(data, message)),
  };

  deadline.start(TIMING.accept, close);
  socket.onclose = socket.onerror = () => close();
  socket.onmessage = ({ data }) => {
    if (closed) return;
    try {
      const [kind, body, id] = parseFrame(data);
      receive[kind](body, id);
    } catch {
      close();
    }
  };

  return {
    close,
    isOpen: () => connected,
    /** Timers stop while a laptop sleeps; the clock does not. */
    isStale: () => connected && Date.now() - lastPing > timeout,
    /** Resolves to undefined if the socket closes before the answer.
     * @param {string} name @param {object} data @returns {Promise<any>} */
    ask: (name, data) => new Promise((settle) => send(`42${acks.push(settle) - 1}`, [name, data])),
  };
}
