/** Guards an app's own WebSockets, served by the package `ws`. */
import { Gate } from "./gate.js";
import { CLOSE_CODE } from "./watches.js";

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** @typedef {import("node:stream").Duplex} Duplex */
/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */

/** The part of a `WebSocketServer` with `noServer` that is used here.
 * @typedef {{handleUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer,
 *   done: (socket: any) => void) => void, emit: (event: any, ...args: any[]) => boolean,
 *   shouldHandle?: (request: IncomingMessage) => any}} SocketServer */

/** @typedef {import("node:http").Server | import("node:https").Server} HttpServer */

/** @typedef {IncomingMessage & {hubIdentity?: Identity}} Request */

/** Refuse upgrades without a living session with 401, and close sockets with code 4401 when theirs
 * ends. In the event `connection`, `request.hubIdentity` is who connected.
 * @param {HttpServer} server @param {SocketServer} sockets a `new WebSocketServer({ noServer: true })`
 * @param {Guard} guard @param {import("./gate.js").GateOptions<Request>} [options]
 * @returns {() => void} stops guarding */
export function guardUpgrades(server, sockets, guard, options = {}) {
  /** @type {Gate<Request>} */
  const gate = new Gate(guard, options);
  /** @param {Request} request @param {Duplex} socket @param {Buffer} head */
  const upgrade = async (request, socket, head) => {
    if (sockets.shouldHandle?.(request) === false) return;
    const ignore = () => undefined;
    socket.on("error", ignore);
    try {
      request.hubIdentity = await gate.admit(request);
    } catch (error) {
      return refuse(socket, gate.refuse(error, request));
    }
    socket.off("error", ignore);
    if (socket.destroyed) return;
    sockets.handleUpgrade(request, socket, head, (opened) => {
      if (request.hubIdentity) closeWithSession(guard, request.hubIdentity, opened);
      sockets.emit("connection", opened, request);
    });
  };
  server.on("upgrade", upgrade);
  return () => {
    server.off("upgrade", upgrade);
  };
}

/** Close a socket of `ws` with code 4401 when the session ends.
 * @param {Guard} guard @param {Identity} identity
 * @param {{close: (code: number, reason: string) => void, terminate: () => void,
 *   once: (event: any, f: () => void) => unknown}} socket */
export function closeWithSession(guard, identity, socket) {
  const watch = guard.watchIdentity(identity);
  socket.once("close", watch.cancel);
  watch.onEnd(({ reason }) => {
    socket.close(CLOSE_CODE, reason);
    // A client that does not answer the close frame is cut.
    const timer = setTimeout(() => socket.terminate(), ANSWER_MS).unref();
    socket.once("close", () => clearTimeout(timer));
  });
}

const ANSWER_MS = 1000;

/** @param {Duplex} socket @param {import("./gate.js").Answer} answer */
function refuse(socket, { status, headers, body }) {
  const lines = Object.entries({
    ...headers,
    Connection: "close",
    "Content-Length": Buffer.byteLength(body),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join("")}\r\n${body}`);
}
