/** Whatever becomes of a request, its guard watches nothing when it is over. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import http2 from "node:http2";
import { connect } from "node:net";
import { pipeline, Readable } from "node:stream";
import { test } from "node:test";
import express from "express";
import fastify from "fastify";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { WebSocket, WebSocketServer } from "ws";
import { guardMiddleware } from "./express.js";
import { guardPlugin } from "./fastify.js";
import { guardSockets } from "./socket-io.js";
import { bearer, pause, soon, startFakeHub, startGuard, until } from "./support.js";
import { closeWithSession, guardUpgrades } from "./ws.js";

/** @typedef {import("node:test").TestContext} TestContext */
/** @typedef {Awaited<ReturnType<typeof startGuard>>} Guard */
/** @typedef {Awaited<ReturnType<typeof startFakeHub>>} Hub */
/** @typedef {Record<string, string>} Headers */

const TIMES = 3;

/** A stream that ends as its name says. @param {string | undefined} name */
async function* parts(name) {
  yield "tick";
  if (name === "/fail") throw new Error("the database went away");
  while (name === "/endless") {
    await pause(10);
    yield "tick";
  }
}

/** Where requests wait while they are checked, if it is closed. */
class Doorstep {
  waiting = 0;
  #open = Promise.resolve();
  #letIn = () => undefined;

  close() {
    this.#open = new Promise((resolve) => {
      this.#letIn = () => void resolve(undefined);
    });
  }

  async open() {
    this.#letIn();
    await until("all to be let in", () => this.waiting === 0);
  }

  /** Wait; then return the login that the header `X-Session` names. @param {any} request */
  login = async ({ headers }) => {
    this.waiting += 1;
    await this.#open;
    this.waiting -= 1;
    const sid = headers["x-session"];
    return sid && { user: "ada", sid, loggedInAt: Date.now() / 1000 + 3000 };
  };
}

/** @param {any} request @param {any} response */
const answer = (request, response) =>
  pipeline(Readable.from(parts(request.url)), response.writeHead(200), () => undefined);

/** Servers of an app behind guards, the first for sessions and the second for tokens.
 * @type {Record<string, (t: TestContext, guards: any[]) => Promise<number>>} */
const SERVERS = {
  "plain HTTP": (t, guards) => {
    const checks = guards.map(({ guard, ...options }) => guardMiddleware(guard, options));
    /** @type {(request: any, response: any, left: typeof checks) => void} */
    const run = (request, response, [check, ...left]) =>
      check
        ? void check(request, response, () => run(request, response, left))
        : answer(request, response);
    return listen(
      t,
      createServer((request, response) => run(request, response, checks)),
    );
  },
  Express: (t, guards) => {
    const app = express();
    for (const { guard, ...options } of guards) app.use(guardMiddleware(guard, options));
    app.use(answer);
    return listen(t, createServer(app));
  },
  Fastify: async (t, guards) => {
    const app = fastify();
    t.after(() => app.close());
    for (const options of guards) await app.register(guardPlugin, options);
    app.get("/*", (request, reply) =>
      reply.send(Readable.from(parts(request.url), { objectMode: false })),
    );
    await app.listen({ port: 0, host: "127.0.0.1" });
    return portOf(app.server);
  },
};

/** @param {any} server @returns {number} */
const portOf = (server) => server.address().port;

/** @param {TestContext} t @param {import("node:http").Server} server */
async function listen(t, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return portOf(server);
}

/** Send requests over one connection.
 * @param {number} port @param {string[]} paths @param {Headers} headers */
async function ask(port, paths, headers) {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  const lines = Object.entries({ Host: "x", ...headers }).map((pair) => `${pair.join(": ")}\r\n`);
  for (const path of paths) socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  return socket;
}

/** @param {import("node:net").Socket} socket */
async function finish(socket) {
  const closed = once(socket, "close");
  socket.resume();
  await soon("the end", closed);
}

/** @param {Guard} guard */
const unwatched = (guard) => until("nothing is watched", () => guard.sizes.watches === 0);

/** Send requests that end in every way.
 * @param {{port: number, guard: Guard, hub: Hub, doorstep: Doorstep, sids: string[],
 *   headers: Headers}} place */
async function endInEveryWay({ port, guard, hub, doorstep, sids, headers }) {
  const closing = { ...headers, Connection: "close" };
  for (const path of ["/finish", "/fail"]) await finish(await ask(port, [path], closing));
  await unwatched(guard);
  for (const paths of [["/finish"], ["/endless"], ["/endless", "/finish", "/finish"]]) {
    (await ask(port, paths, headers)).destroy();
    doorstep.close();
    const socket = await ask(port, paths, headers);
    await until("the checks", () => doorstep.waiting >= paths.length);
    socket.destroy();
    await pause(30); // until the server has noticed
    await doorstep.open();
    await unwatched(guard);
    if (paths[0] === "/finish") continue;
    const left = await ask(port, paths, headers);
    await once(left, "data");
    await until("the watches", () => guard.sizes.watches === paths.length * sids.length);
    left.destroy();
    await unwatched(guard);
  }
  for (const sid of sids) {
    const cut = await ask(port, ["/endless"], { ...headers, ...renewed(hub, sids) });
    await once(cut, "data");
    assert.equal(guard.sizes.watches, sids.length);
    hub.end({ user: "ada", scope: "session", sid: current(sid) });
    await finish(cut);
    await unwatched(guard);
  }
}

let count = 0;
const current = (/** @type {string} */ sid) => `${sid}-${count}`;

/** Headers of new sessions. @param {Hub} hub @param {string[]} sids @returns {Headers} */
function renewed(hub, sids) {
  count += 1;
  const [session, token] = sids.map(current);
  return { "X-Session": session, ...(token && bearer(hub, { sid: token })) };
}

for (const [name, serve] of Object.entries(SERVERS))
  for (const sids of [["session"], ["session", "token"]])
    test(`${name}: requests that end in any way leave no watch of ${sids.join(" and ")}`, async (t) => {
      const hub = await startFakeHub(t);
      const guard = await startGuard(t, hub.url);
      const doorstep = new Doorstep();
      const guards = [{ guard, session: doorstep.login, require: sids.length === 1 }, { guard }];
      const port = await serve(t, guards.slice(0, sids.length));
      for (let time = 0; time < TIMES; time += 1) {
        const headers = renewed(hub, sids);
        await endInEveryWay({ port, guard, hub, doorstep, sids, headers });
      }
    });

test("HTTP/2: a stream that its client resets, at any time, leaves no watch", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const doorstep = new Doorstep();
  const check = guardMiddleware(guard, { session: doorstep.login });
  const server = http2.createServer((request, response) => {
    const given = /** @type {[any, any]} */ ([request, response]);
    void check(...given, () => void answer(...given));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = http2.connect(`http://127.0.0.1:${portOf(server)}`);
  t.after(() => {
    client.destroy();
    server.close();
  });
  const begin = () => {
    const stream = client.request({ ":path": "/endless", ...renewed(hub, ["s"]) });
    return stream.on("error", () => undefined);
  };
  const early = begin();
  early.close(http2.constants.NGHTTP2_CANCEL);
  doorstep.close();
  const waiting = begin();
  await until("the check", () => doorstep.waiting > 0);
  waiting.close(http2.constants.NGHTTP2_CANCEL);
  await pause(30); // until the server has noticed
  await doorstep.open();
  await unwatched(guard);
  for (const isCut of [false, true]) {
    const stream = begin();
    await once(stream, "data");
    assert.equal(guard.sizes.watches, 1);
    const closed = once(stream, "close");
    if (isCut) hub.end({ user: "ada", scope: "session", sid: current("s") });
    else stream.close(http2.constants.NGHTTP2_CANCEL);
    await soon("the end", closed);
    await unwatched(guard);
  }
});

test("ws: sockets that end in any way leave no watch", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const doorstep = new Doorstep();
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  guardUpgrades(server, sockets, guard, { session: doorstep.login });
  const port = await listen(t, server);
  const begin = () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers: renewed(hub, ["s"]) });
    return socket.on("error", () => undefined);
  };
  for (let time = 0; time < TIMES; time += 1) {
    doorstep.close();
    const early = begin();
    await until("the check", () => doorstep.waiting > 0);
    early.terminate();
    await doorstep.open();
    await unwatched(guard);
    for (const end of ["close", "terminate", "logout"]) {
      const socket = begin();
      await once(socket, "open");
      assert.equal(guard.sizes.watches, 1);
      const closed = once(socket, "close");
      if (end === "logout") hub.end({ user: "ada", scope: "session", sid: current("s") });
      else socket[/** @type {"close" | "terminate"} */ (end)]();
      await soon("the end", closed);
      await unwatched(guard);
    }
  }
});

test("ws: a socket that has closed by the time it is authenticated is not watched", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  const port = await listen(t, server);
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  const [[socket]] = await Promise.all([once(sockets, "connection"), once(client, "open")]);
  client.terminate();
  await once(socket, "close");
  const identity = await guard.checkSession("ada", "s", hub.now() - 60);
  closeWithSession(guard, identity, socket);
  assert.equal(guard.sizes.watches, 0);
});

test("Socket.IO: sockets that end in any way leave no watch, and no listener", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const doorstep = new Doorstep();
  const server = createServer();
  const sockets = new Server(server);
  t.after(() => sockets.close());
  for (const space of [sockets, sockets.of("/other")])
    guardSockets(space, guard, { session: ({ headers }) => doorstep.login({ headers }) });
  const port = await listen(t, server);
  /** @param {string} [space] @param {any} [manager] */
  const begin = (space = "/", manager) => {
    const options = { transports: ["websocket"], forceNew: true, reconnection: false };
    const extraHeaders = renewed(hub, ["s"]);
    const made = manager ?? io(`http://127.0.0.1:${port}`, { ...options, extraHeaders }).io;
    return made.socket(space);
  };
  for (let time = 0; time < TIMES; time += 1) {
    doorstep.close();
    const early = begin();
    await until("the check", () => doorstep.waiting > 0);
    early.io.engine.close();
    await until("the server to notice", () => sockets.engine.clientsCount === 0);
    await doorstep.open();
    await unwatched(guard);
    for (const end of ["leave", "logout"]) {
      const socket = begin();
      await once(socket, "connect");
      assert.equal(guard.sizes.watches, 1);
      const closed = once(socket, "disconnect");
      if (end === "logout") hub.end({ user: "ada", scope: "session", sid: current("s") });
      else socket.io.engine.close();
      await soon("the end", closed);
      await unwatched(guard);
    }
  }
  const main = begin();
  await once(main, "connect");
  const [{ conn }] = [...sockets.sockets.sockets.values()];
  const before = conn.listenerCount("close");
  for (let time = 0; time < TIMES; time += 1) {
    const other = begin("/other", main.io);
    await once(other, "connect");
    assert.equal(guard.sizes.watches, 2);
    other.disconnect();
    await until("only one is watched", () => guard.sizes.watches === 1);
  }
  assert.equal(conn.listenerCount("close"), before);
  main.disconnect();
  await unwatched(guard);
});

test("ws: with two guards, both sessions must be alive, and a socket closes with either", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const options = { session: new Doorstep().login, require: false };
  const stop = guardUpgrades(server, sockets, guard, options);
  const stopInner = guardUpgrades(server, sockets, guard);
  sockets.on("connection", (socket, request) =>
    socket.send(/** @type {any} */ (request).hubIdentity?.sid ?? "nobody"),
  );
  const port = await listen(t, server);
  /** @param {Headers} headers */
  const begin = (headers) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
    return socket.on("error", () => undefined);
  };
  /** @param {Headers} headers */
  const statusFor = async (headers) => {
    const [, { statusCode }] = await once(begin(headers), "unexpected-response");
    return statusCode;
  };
  assert.equal(await statusFor({}), 401);
  const sids = ["session", "token"];
  for (const sid of sids) {
    const headers = renewed(hub, sids);
    const socket = begin(headers);
    const [greeting] = await once(socket, "message");
    assert.equal(`${greeting}`, current("token"));
    assert.equal(guard.sizes.watches, 2);
    const closed = once(socket, "close");
    hub.end({ user: "ada", scope: "session", sid: current(sid) });
    assert.equal((await soon("the close", closed))[0], 4401);
    await unwatched(guard);
    assert.equal(await statusFor(headers), 401);
  }
  const [session] = await once(begin(renewed(hub, ["session"])), "message");
  assert.equal(`${session}`, current("session"));
  stopInner();
  stopInner();
  const [anonymous] = await once(begin({}), "message");
  assert.equal(`${anonymous}`, "nobody");
  stop();
  assert.equal(server.listenerCount("upgrade"), 0);
  for (const socket of sockets.clients) socket.terminate();
});

test("Socket.IO: with two guards, both sessions must be alive, and a socket closes with either", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const server = createServer();
  const sockets = new Server(server);
  t.after(() => sockets.close());
  const { login } = new Doorstep();
  guardSockets(sockets, guard, { session: ({ headers }) => login({ headers }), require: false });
  guardSockets(sockets, guard);
  sockets.on("connection", (socket) => socket.emit("hello", socket.data.hubIdentity.sid));
  const port = await listen(t, server);
  /** @param {Headers} extraHeaders @param {string} event */
  const heard = async (extraHeaders, event) => {
    const options = { transports: ["websocket"], forceNew: true, reconnection: false };
    /** @type {any} */
    const socket = io(`http://127.0.0.1:${port}`, { ...options, extraHeaders });
    t.after(() => socket.disconnect());
    return [(await once(socket, event))[0], socket];
  };
  const sids = ["session", "token"];
  for (const sid of sids) {
    const headers = renewed(hub, sids);
    const [found, socket] = await heard(headers, "hello");
    assert.equal(found, current("token"));
    assert.equal(guard.sizes.watches, 2);
    const closed = once(socket, "disconnect");
    hub.end({ user: "ada", scope: "session", sid: current(sid) });
    await soon("the end", closed);
    await unwatched(guard);
    assert.equal((await heard(headers, "connect_error"))[0].message, "token_revoked");
  }
  assert.equal((await heard({}, "connect_error"))[0].message, "token_missing");
  assert.equal((await heard(renewed(hub, ["session"]), "hello"))[0], current("session"));
});
