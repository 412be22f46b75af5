/** One WebSocket, from its opening to its one `closed`. */
/** @import { Refusal } from "./frames.js" */
import { encodeAck, encodeConnect, encodeEvent, parseFrame, toRefusal } from "./frames.js";
import { createTimer, TIMING } from "./tasks.js";

/** @param {string} origin @param {{token?: string, device?: string}} auth
 * @param {{accepted: (told: any) => void, closed: (refusal?: Refusal) => void,
 *   event: (name: string, data: any, answer: (data: any) => void) => void}} on
 *   `closed` is told the refusal if that was the cause */
export function openSocket(origin, auth, on) {
  const address = `${origin.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`;
  const socket = new WebSocket(address);
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

  /** @param {string} frame */
  function send(frame) {
    if (socket.readyState === WebSocket.OPEN) socket.send(frame);
  }

  function expectPing() {
    heard = Date.now();
    if (live) deadline.start(patience, close);
  }

  /** @type {Record<string, (body: any, id: string) => void>} */
  const receive = {
    open(body) {
      patience = body.pingInterval + body.pingTimeout;
      send(encodeConnect(auth));
    },
    ping() {
      send("3");
      expectPing();
    },
    accepted(told) {
      live = true;
      expectPing();
      on.accepted(told);
    },
    event: ([name, data], id) =>
      on.event(name, data, (answer) => id !== "" && send(encodeAck(id, answer))),
    ack: ([data], id) => asked[Number(id)]?.(data),
    refused: ({ data, message }) => leave(toRefusal(data, message)),
    noop() {},
  };

  deadline.start(TIMING.accept, close);
  socket.addEventListener("close", close);
  socket.addEventListener("error", close);
  socket.addEventListener("message", ({ data }) => {
    const { type = "", body, id = "" } = parseFrame(data) ?? {};
    if (!done) (receive[type] ?? close)(body, id);
  });

  return {
    leave,
    isLive: () => live,
    /** Timers stand still while a laptop sleeps; the clock does not. */
    isStale: () => live && Date.now() - heard > patience,
    /** Gives undefined when the socket closes before the answer.
     * @param {string} name @param {object} data @returns {Promise<any>} */
    ask: (name, data) =>
      new Promise((settle) => send(encodeEvent(asked.push(settle) - 1, name, data))),
  };
}
