/** Guards an app's own WebSockets, served by the package `ws`. */
import { HubError, problem } from "./errors.js";
import { Gate } from "./gate.js";
import { watchWhile, whenOver } from "./lifetimes.js";
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

/** @typedef {{guard: Guard, gate: Gate<Request>}} Guarding */
/** What guards a WebSocket server, and what handles its upgrades.
 * @typedef {{guards: Guarding[], upgrade: (...given: any) => unknown}} Entrance */

/** The WebSocket servers behind guards, by HTTP server.
 * @type {WeakMap<HttpServer, Map<SocketServer, Entrance>>} */
const guarded = new WeakMap();

/** Refuse upgrades without a living session with 401, and close sockets with code 4401 when theirs
 * ends. In the event `connection`, `request.hubIdentity` is who connected.
 * @param {HttpServer} server @param {SocketServer} sockets a `new WebSocketServer({ noServer: true })`
 * @param {Guard} guard @param {import("./gate.js").GateOptions<Request>} [options]
 * @returns {() => void} stops guarding */
export function guardUpgrades(server, sockets, guard, options = {}) {
  /** @type {Guarding} */
  const own = { guard, gate: new Gate(guard, options) };
  /** @type {Map<SocketServer, Entrance>} */
  const all = guarded.get(server) ?? new Map();
  guarded.set(server, all);
  // Two guards, for sessions and for tokens, share it: an upgrade can only be handled once.
  const entrance = all.get(sockets) ?? open(server, sockets);
  all.set(sockets, entrance);
  entrance.guards = [...entrance.guards, own];
  return () => {
    const left = entrance.guards.filter((one) => one !== own);
    if (left.length > 0) {
      entrance.guards = left;
      return;
    }
    // The last guard stays in it, for an upgrade that is on its way.
    server.off("upgrade", entrance.upgrade);
    if (all.get(sockets) === entrance) all.delete(sockets);
  };
}

/** Handle the upgrades for a WebSocket server.
 * @param {HttpServer} server @param {SocketServer} sockets @returns {Entrance} */
function open(server, sockets) {
  /** @param {Request} request @param {Duplex} socket @param {Buffer} head */
  const upgrade = async (request, socket, head) => {
    if (!handles(sockets, request)) return refuseForeign(server, sockets, request, socket);
    const ignore = () => undefined;
    socket.on("error", ignore);
    const found = await admit(entrance.guards, request, socket);
    if (!found) return;
    socket.off("error", ignore);
    if (socket.destroyed) return;
    sockets.handleUpgrade(request, socket, head, (opened) => {
      for (const { guard, identity } of found) closeWithSession(guard, identity, opened);
      sockets.emit("connection", opened, request);
    });
  };
  server.on("upgrade", upgrade);
  /** @type {Entrance} */
  const entrance = { guards: [], upgrade };
  return entrance;
}

/** Who sent a request, by each guard that found somebody else than those before it; or undefined if one
 * of them refuses it.
 * @param {readonly Guarding[]} guards @param {Request} request @param {Duplex} socket */
async function admit(guards, request, socket) {
  const found = [];
  for (const { guard, gate } of guards) {
    const before = request.hubIdentity;
    try {
      const identity = await gate.admit(request, before);
      if (identity && identity !== before) found.push({ guard, identity });
      request.hubIdentity = identity;
    } catch (error) {
      refuse(socket, gate.refuse(error, request));
      return undefined;
    }
  }
  return found;
}

/** @param {SocketServer} sockets @param {IncomingMessage} request */
const handles = (sockets, request) => sockets.shouldHandle?.(request) !== false;

/** Refuse an upgrade that none of a server's sockets are for, unless somebody else may take it: nobody
 * would ever close it.
 * @param {HttpServer} server @param {SocketServer} sockets @param {IncomingMessage} request
 * @param {Duplex} socket */
function refuseForeign(server, sockets, request, socket) {
  const all = [...(guarded.get(server)?.keys() ?? [])];
  const isOurs = server.listenerCount("upgrade") === all.length;
  if (!isOurs || sockets !== all[0] || all.some((one) => handles(one, request))) return;
  socket.on("error", () => undefined);
  refuse(socket, problem(new HubError("not_found")));
}

/** Close a socket of `ws` with code 4401 when the session ends.
 * @param {Guard} guard @param {Identity} identity
 * @param {{close: (code: number, reason: string) => void, terminate: () => void,
 *   once: (event: any, f: () => void) => unknown}} socket */
export function closeWithSession(guard, identity, socket) {
  /** @type {import("./lifetimes.js").Life[]} */
  const lives = [[socket, "close"]];
  const watch = watchWhile(guard, identity, lives);
  watch.onEnd(({ reason }) => {
    socket.close(CLOSE_CODE, reason);
    // A client that does not answer the close frame is cut.
    const timer = setTimeout(() => socket.terminate(), ANSWER_MS).unref();
    whenOver(lives, () => clearTimeout(timer));
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
  // Or a client that does not close its end would keep it open.
  socket.once("finish", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join("")}\r\n${body}`);
}
