/** What the tests share: a memory Storage, a hub made of the stock server, and patient waiting. */
import { createServer } from "node:http";
import { Server } from "socket.io";
import { WebSocket, WebSocketServer } from "ws";

Object.assign(globalThis, { WebSocket });
/** Tests of one file share a process, and would be tabs of one browser. */
Reflect.deleteProperty(globalThis, "BroadcastChannel");

/** The client reports what the app's own code throws; what a test throws on purpose is no news. */
const report = console.error;
console.error = (error) => /^expected|^no answer|^cookies/.test(error?.message) || report(error);

/** A generous bound, that of tests/patience.py: it tells a hang from slowness, and asserts no speed. */
const PATIENCE_MS = 60_000;

/** @implements {Storage} */
export class MemoryStorage {
  /** @type {Map<string, string>} */
  #entries;

  /** @param {Record<string, string>} [entries] */
  constructor(entries = {}) {
    this.#entries = new Map(Object.entries(entries));
  }
  get length() {
    return this.#entries.size;
  }
  /** @param {number} index */
  key(index) {
    return [...this.#entries.keys()][index] ?? null;
  }
  /** @param {string} key */
  getItem(key) {
    return this.#entries.get(key) ?? null;
  }
  /** @param {string} key @param {string} value */
  setItem(key, value) {
    this.#entries.set(key, value);
  }
  /** @param {string} key */
  removeItem(key) {
    this.#entries.delete(key);
  }
  clear() {
    this.#entries.clear();
  }
  entries() {
    return Object.fromEntries(this.#entries);
  }
}

/** @template T @param {string} what @param {Promise<T>} event @returns {Promise<T>} */
export function soon(what, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
    event.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** @param {string} what @param {() => unknown} fact */
export async function until(what, fact) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!fact()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await pause(10);
  }
}

/** @param {number} ms */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Long enough for several reconnects, where none may come. */
export const quietWhile = () => pause(1500);

/** @param {{state: string}} hub @param {string} state */
export const reaches = (hub, state) => until(`the state ${state}`, () => hub.state === state);

/** A function that remembers what it was called with. @param {(...args: any[]) => unknown} [work] */
export function recorder(work = () => undefined) {
  /** @type {any[]} */
  const calls = [];
  /** @param {any[]} args */
  const record = (...args) => {
    calls.push(args[0]);
    return work(...args);
  };
  return Object.assign(record, { calls });
}

/** @typedef {{method: string, path: string, headers: import("node:http").IncomingHttpHeaders,
 *   body: any}} Call */

/** A plain HTTP server that notes its calls and answers as `answer` says.
 * @param {import("node:test").TestContext} t */
export async function startHttp(t, port = 0) {
  /** @type {Call[]} */
  const calls = [];
  const web = {
    calls,
    url: "",
    /** @type {(call: Call) => [status: number, body?: unknown, headers?: Record<string, string>]} */
    answer: () => [404, { code: "not_found", title: "Nothing here" }],
    server: createServer(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      const body = text ? JSON.parse(text) : undefined;
      const { method = "", url = "", headers } = request;
      const call = { method, path: url, headers, body };
      if (!url.startsWith("/socket.io/")) calls.push(call);
      const [status, answer, more] = url.startsWith("/socket.io/") ? [404] : web.answer(call);
      response.writeHead(status, { "Content-Type": "application/json", ...more });
      response.end(answer === undefined ? "" : JSON.stringify(answer));
    }),
  };
  await new Promise((resolve) => web.server.listen(port, "127.0.0.1", () => resolve(undefined)));
  const address = /** @type {import("node:net").AddressInfo} */ (web.server.address());
  web.url = `http://127.0.0.1:${address.port}`;
  t.after(() => {
    web.server.close();
    web.server.closeAllConnections();
  });
  return Object.assign(web, { port: address.port });
}

/** The stock Socket.IO server, with the hub's HTTP beside it on the same port.
 * @param {import("node:test").TestContext} t
 * @param {Partial<import("socket.io").ServerOptions>} [options] */
export async function startHub(t, options, port = 0) {
  const web = await startHttp(t, port);
  const io = new Server(web.server, options);
  t.after(() => io.close());
  /** @type {import("socket.io").Socket[]} */
  const sockets = [];
  io.on("connection", (socket) => sockets.push(socket));
  const latest = () => sockets[sockets.length - 1];
  /** @param {any} notification */
  const notify = (notification) =>
    latest().timeout(PATIENCE_MS).emitWithAck("logoutNotification", notification);
  return Object.assign(web, { io, sockets, latest, notify });
}

/** Refuses connections as the hub does, as long as `judge` names a code.
 * @param {Server} io
 * @param {(auth: any) => {code: string, title: string, detail?: string, retryable?: boolean, logout?: any} | undefined} judge */
export function refuse(io, judge) {
  const tries = recorder();
  io.use((socket, next) => {
    const { auth } = socket.handshake;
    tries(auth);
    const data = judge(auth);
    next(data && Object.assign(new Error(data.code), { data }));
  });
  return tries.calls;
}

/** A server that speaks frames by hand, for what the stock server would never do.
 * @param {import("node:test").TestContext} t @param {(socket: import("ws").WebSocket, count: number) => void} greet */
export async function startRaw(t, greet) {
  const web = await startHttp(t);
  const frames = recorder();
  const sockets = new WebSocketServer({ server: web.server, path: "/socket.io/" });
  let count = 0;
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => frames(String(data)));
    count += 1;
    greet(socket, count);
  });
  return Object.assign(web, { count: () => count, frames: frames.calls });
}

export const OPEN = '0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000}';

/** A hub that accepts every socket with what the hub tells beside Socket.IO's `sid`, and answers
 * events as `obey` says: the stock server tells nothing.
 * @param {import("node:test").TestContext} t
 * @param {{session?: string, user?: string, expires_in?: number}} told
 * @param {(name: string, data: any) => any} [obey] */
export async function startTelling(t, told, obey = () => undefined) {
  /** @type {{token?: string}[]} */
  const auths = [];
  /** @type {import("ws").WebSocket[]} */
  const sockets = [];
  const events = recorder();
  const hub = await startRaw(t, (socket) => {
    sockets.push(socket);
    socket.send(OPEN);
    socket.on("message", async (data) => {
      const [, type, id, body] = /^4([02])(\d*)(.*)$/s.exec(String(data)) ?? [];
      if (type === "0") {
        auths.push(JSON.parse(body || "{}"));
        socket.send(`40${JSON.stringify({ sid: "a socket", ...told })}`);
      } else if (type === "2") {
        const [name, value] = JSON.parse(body);
        events({ name, value });
        const answer = await obey(name, value);
        if (answer) socket.send(`43${id}${JSON.stringify([answer])}`);
      }
    });
  });
  /** @param {any} notification */
  const notify = (notification) =>
    sockets.at(-1)?.send(`427${JSON.stringify(["logoutNotification", notification])}`);
  return Object.assign(hub, { auths, sockets, events: events.calls, notify });
}

export const LOGOUT = {
  id: "l1",
  scope: "all",
  reason: "password_changed",
  message: "Your password was changed",
  sid: "s1",
  at: 1_700_000_000,
};
export const REVOKED = { code: "token_revoked", title: "The session was ended", retryable: false };
