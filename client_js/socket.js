/** One WebSocket, from its opening to its one `closed`. */
/** @import { Refusal } from "./frames.js" */
import { parseFrame, toRefusal } from "./frames.js";
import { createTimer, TIMING } from "./tasks.js";

/** @param {string} origin @param {{token?: string, device?: string}} auth
 * @param {{accepted: (sid?: string, user?: string, left?: number) => void,
 *   closed: (refusal?: Refusal) => void,
 *   event: (name: string, data: any, answer: (data: any) => void) => void}} on
 *   `closed` is told the refusal if that was the cause */
export function openSocket(origin, auth, on) {
  const path = "/socket.io/?EIO=4&transport=websocket";
  const socket = new WebSocket(origin.replace("http", "ws") + path);
  const deadline = createTimer();
  /** @type {((answer?: any) => void)[]} */
  const asked = [];
  let done = false;
  let live = false;
  let patience = 0;
  let heard = 0;

  /** @param {Refusal} [refusal] */
  function leave(refusal) {
    if (done) return;
    done = true;
    deadline.stop();
    socket.close();
    for (const settle of asked) settle();
    on.closed(refusal);
  }
  const close = () => leave();

  /** @param {string} kind @param {unknown} [body] */
  const send = (kind, body) => socket.send(kind + (body ? JSON.stringify(body) : ""));

  function expectPing() {
    heard = Date.now();
    if (live) deadline.start(patience, close);
  }

  /** By the kind of frame; whatever else comes, and whatever these cannot read, is an error.
   * @type {Record<string, (body: any, id: string) => void>} */
  const receive = {
    0({ pingInterval, pingTimeout }) {
      patience = pingInterval + pingTimeout;
      // Timers of more than 2^31 ms fire at once.
      if (!(patience < 2 ** 30)) close();
      send("40", auth);
    },
    2() {
      send("3");
      expectPing();
    },
    6() {},
    40({ session, user, expires_in }) {
      live = true;
      expectPing();
      on.accepted(session, user, expires_in);
    },
    42: ([name, data], id) => on.event(name, data, (answer) => id && send(`43${id}`, [answer])),
    43: ([data], id) => asked[+id]?.(data),
    44: ({ data, message }) => leave(message && toRefusal(data, message)),
  };

  deadline.start(TIMING.accept, close);
  socket.onclose = socket.onerror = close;
  socket.onmessage = ({ data }) => {
    if (done) return;
    try {
      const [kind, body, id] = parseFrame(data);
      receive[kind](body, id);
    } catch {
      close();
    }
  };

  return {
    leave,
    isLive: () => live,
    /** Timers stand still while a laptop sleeps; the clock does not. */
    isStale: () => live && Date.now() - heard > patience,
    /** Gives undefined when the socket closes before the answer.
     * @param {string} name @param {object} data @returns {Promise<any>} */
    ask: (name, data) => new Promise((settle) => send(`42${asked.push(settle) - 1}`, [name, data])),
  };
}
