/** Middleware as apps use it: Express, Fastify, ws and Socket.IO refuse the dead and cut streams. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { pipeline, Readable } from "node:stream";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import express from "express";
import session from "express-session";
import fastify from "fastify";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { WebSocket, WebSocketServer } from "ws";
import { guardMiddleware } from "./express.js";
import { guardPlugin } from "./fastify.js";
import { findCookie } from "./gate.js";
import { guardSockets } from "./socket-io.js";
import { ADMIN, bearer, pause, sign, soon, startFakeHub, startGuard, until } from "./support.js";
import { readText } from "./transport.js";
import { guardUpgrades } from "./ws.js";

/** @typedef {import("node:test").TestContext} TestContext */
/** @typedef {Awaited<ReturnType<typeof startFakeHub>>} Hub */

/** @param {TestContext} t @param {any} app @returns {Promise<string>} its address */
async function listen(t, app) {
  const server = app.listen ? app.listen(0, "127.0.0.1") : app;
  if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** Ask as no browser does: with these headers only.
 * @param {string} url @param {import("node:http").RequestOptions} [init] */
async function get(url, init = {}) {
  /** @type {import("node:http").IncomingMessage} */
  const answer = await new Promise((resolve, reject) => {
    request(url, { agent: false, ...init }, resolve)
      .on("error", reject)
      .end();
  });
  const headers = new Headers(/** @type {any} */ (answer.headers));
  return { status: answer.statusCode, headers, body: await readText(answer) };
}

/** @param {import("./guard.js").Guard} guard @param {any} [options] */
function expressApp(guard, options) {
  const app = express();
  app.use(guardMiddleware(guard, { exempt: ["/health", "/static/*"], ...options }));
  app.get("/stream", (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("data: hello\n\n");
  });
  app.all("/{*path}", (asked, response) => {
    response.send(/** @type {any} */ (asked).hubIdentity?.user ?? "nobody");
  });
  return app;
}

test("a request that was answered while it was checked is not answered again", async (t) => {
  const hub = await startFakeHub(t);
  const check = guardMiddleware(await startGuard(t, hub.url));
  /** @type {Promise<void> | undefined} */
  let checked;
  const server = createServer((incoming, response) => {
    checked = check(incoming, response, () => assert.fail("it was let in"));
    response.end("too late");
  });
  const url = await listen(t, server.listen(0, "127.0.0.1"));
  assert.equal((await get(url, { headers: { Authorization: "Bearer x" } })).body, "too late");
  await checked;
});

test("Express: who has a living session is let in, and others get problem details", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const url = await listen(t, expressApp(guard));
  const headers = bearer(hub);
  assert.deepEqual([(await get(`${url}/x`, { headers })).body], ["ada"]);
  for (const path of ["/health", "/static/a.css"])
    assert.equal((await get(url + path)).body, "nobody");
  for (const path of ["/healthy", "/static/%2e%2e/x", "/health/"])
    assert.equal((await get(url + path)).status, 401);
  const missing = await get(url);
  assert.equal(missing.headers.get("www-authenticate"), 'Bearer realm="logout-hub"');
  assert.deepEqual(JSON.parse(missing.body), {
    type: "urn:logout-hub:error:token_missing",
    title: "No token was sent",
    status: 401,
    detail: "No token was sent",
    code: "token_missing",
  });
  const { at } = hub.end({ user: "ada", reason: "admin" });
  await until("it", () => guard.sizes.revocations === 1);
  const dead = await get(url, { headers });
  assert.equal(dead.status, 401);
  assert.equal(
    dead.headers.get("www-authenticate"),
    'Bearer realm="logout-hub", error="invalid_token"',
  );
  assert.equal(dead.headers.get("content-type"), "application/problem+json");
  const { code, reason, at: told } = JSON.parse(dead.body);
  assert.deepEqual(
    [code, reason, told],
    ["token_revoked", "admin", Math.round(Number(at) * 1e6) / 1e6],
  );
  const claims = { iat: hub.now() + 0.5, exp: hub.now() + 60, auth_time: hub.now() - 60 };
  const refreshed = await get(url, { headers: bearer(hub, claims) });
  assert.match(
    refreshed.headers.get("www-authenticate") ?? "",
    /error="insufficient_user_authentication", error_description="The login was ended: log in again", max_age="\d+"/,
  );
  assert.equal(JSON.parse(refreshed.body).reauthenticate, true);
  const preflight = { "Access-Control-Request-Method": "POST" };
  assert.equal((await get(url, { method: "OPTIONS", headers: preflight })).status, 200);
});

test("Express: a browser that navigates is sent to the login, and comes back on the same host", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const url = await listen(t, expressApp(guard, { loginUrl: "/login?from=app" }));
  const page = { headers: { Accept: "text/html", "Sec-Fetch-Mode": "navigate" } };
  const sent = await get(`${url}//evil.example/a?b=c&d`, page);
  assert.deepEqual(
    [sent.status, sent.headers.get("location")],
    [303, "/login?from=app&next=%2Fevil.example%2Fa%3Fb%3Dc%26d"],
  );
  assert.equal((await get(`${url}/login?next=/`, page)).status, 200);
  const posted = await get(`${url}/a`, { ...page, method: "POST" });
  assert.equal(posted.headers.get("location"), "/login?from=app");
  assert.equal((await get(`${url}/a`, { headers: { "Sec-Fetch-Mode": "cors" } })).status, 401);
});

test("Express: a hub that cannot be asked is 503 with Retry-After, not a login", async (t) => {
  const guard = await startGuard(t, "http://127.0.0.1:9", { startTimeout: 0 });
  const url = await listen(t, expressApp(guard, { loginUrl: "/login" }));
  const now = Date.now() / 1000;
  const token = sign({ sub: "ada", iat: now, exp: now + 60 });
  const headers = { Authorization: `Bearer ${token}`, "Sec-Fetch-Mode": "navigate" };
  const answer = await get(url, { headers });
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "1"]);
  assert.equal(JSON.parse(answer.body).retryable, true);
});

test("Express: a cookie counts, but not from another site's page, nor twice", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const url = await listen(
    t,
    expressApp(guard, { cookie: "session", origins: ["https://a.example"], require: false }),
  );
  const Cookie = `x=1; session=${bearer(hub).Authorization.slice(7)}`;
  assert.equal((await get(url, { headers: { Cookie } })).body, "ada");
  assert.equal((await get(url)).body, "nobody");
  assert.equal((await get(url, { headers: { Cookie: "session=x" } })).status, 401);
  for (const [origin, status] of [
    ["https://b.example", 403],
    ["https://a.example", 200],
    [url, 200],
  ]) {
    const init = { method: "POST", headers: { Cookie, Origin: `${origin}` } };
    assert.equal((await get(url, init)).status, status, `${origin}`);
  }
  assert.equal(findCookie('a="1"; b=2', "a"), "1");
  assert.throws(() => findCookie("a=1; a=2", "a"), /several cookies/);
});

test("Express: a stream ends with its session, and other responses do not", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const url = await listen(t, expressApp(guard));
  const streams = ["s1", "s2"].map((sid) =>
    fetch(`${url}/stream`, { headers: bearer(hub, { sid }) }),
  );
  const [first, second] = await Promise.all(streams);
  const ended = first.text().catch(() => "cut");
  hub.end({ user: "ada", scope: "session", sid: "s1" });
  assert.equal(await soon("the cut", ended), "cut");
  assert.equal(guard.sizes.watches, 1);
  await second.body?.cancel();
  await until("the last watch is cancelled", () => guard.sizes.watches === 0);
});

test("a stream is cut at once while the app waits, which is told: plain HTTP, Express, Fastify", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  /** @type {string[]} */
  const ended = [];
  /** Parts, until whoever reads them is gone. @param {string} name */
  const partsFor = (name) => {
    const parts = new Readable({ read: () => undefined });
    parts.push("tick");
    return parts.on("close", () => ended.push(name));
  };
  const check = guardMiddleware(guard);
  const plain = createServer((incoming, response) => {
    check(incoming, response, () => pipeline(partsFor("plain"), response, () => undefined));
  });
  const ofExpress = express();
  ofExpress.use(guardMiddleware(guard));
  ofExpress.get("/", (_, response) => {
    pipeline(partsFor("Express"), response, () => undefined);
  });
  const ofFastify = fastify();
  t.after(() => ofFastify.close());
  await ofFastify.register(guardPlugin, { guard });
  ofFastify.get("/", (_, reply) => reply.send(partsFor("Fastify")));
  const urls = [
    await listen(t, plain.listen(0, "127.0.0.1")),
    await listen(t, ofExpress),
    await ofFastify.listen(),
  ];
  const bodies = [];
  for (const url of urls) {
    const answer = await fetch(url, { headers: bearer(hub) });
    const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), "tick");
    bodies.push(reader.read().catch(() => "cut"));
  }
  hub.end({ user: "ada" });
  for (const body of bodies) assert.equal(await soon("the cut", body), "cut");
  await until("all apps are told", () => ended.length === 3);
  assert.equal(guard.sizes.watches, 0);
});

test("a file states its length, and is finished: Express", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const app = express();
  app.use(guardMiddleware(guard));
  const path = fileURLToPath(import.meta.url);
  app.get("/", (_, response) => response.sendFile(path));
  const answer = await fetch(await listen(t, app), { headers: bearer(hub) });
  hub.end({ user: "ada" });
  await until("the end", () => guard.sizes.revocations === 1);
  assert.equal(await answer.text(), await readFile(path, "utf8"));
});

test("Express: a session of express-session dies with the login, and the next login lives", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const app = express();
  app.use(session({ secret: "a secret", resave: false, saveUninitialized: false }));
  const login = (/** @type {any} */ request) => request.session.login;
  app.use(guardMiddleware(guard, { exempt: ["/login"], session: login }));
  app.post("/login", (request, response) => {
    const made = { user: "ada", sid: request.sessionID, loggedInAt: guard.now() };
    Object.assign(request.session, { login: made });
    response.send(made.sid);
  });
  app.get(
    "/",
    (request, response) => void response.send(/** @type {any} */ (request).hubIdentity.sid),
  );
  const url = await listen(t, app);
  const logIn = async () => {
    const answer = await fetch(`${url}/login`, { method: "POST" });
    return { sid: await answer.text(), Cookie: answer.headers.getSetCookie()[0].split(";")[0] };
  };
  const { sid, Cookie } = await logIn();
  assert.equal((await get(url, { headers: { Cookie } })).body, sid);
  hub.end({ user: "ada", scope: "session", sid });
  await until("the end", async () => guard.sizes.revocations === 1);
  assert.equal(JSON.parse((await get(url, { headers: { Cookie } })).body).code, "token_revoked");
  assert.equal(JSON.parse((await get(url, { headers: { Cookie } })).body).code, "token_missing");
  assert.equal((await get(url, { headers: { Cookie: (await logIn()).Cookie } })).status, 200);
});

test("Fastify: who has a living session is let in, and streams end with it", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const app = fastify();
  await app.register(guardPlugin, { guard, exempt: ["/health"] });
  app.get("/", async (request) => /** @type {any} */ (request).hubIdentity.user);
  app.get("/health", async () => "well");
  app.get("/stream", (_, reply) => {
    reply.hijack();
    reply.raw.writeHead(200);
    reply.raw.write("hello");
  });
  const url = await app.listen();
  t.after(() => app.close());
  const headers = bearer(hub);
  assert.equal((await get(url, { headers })).body, "ada");
  assert.equal((await get(`${url}/health`)).body, "well");
  assert.equal((await get(url)).headers.get("www-authenticate"), 'Bearer realm="logout-hub"');
  const stream = await fetch(`${url}/stream`, { headers });
  const ended = stream.text().catch(() => "cut");
  hub.end({ user: "ada" });
  assert.equal(await soon("the cut", ended), "cut");
  assert.equal(JSON.parse((await get(url, { headers })).body).code, "token_revoked");
});

test("Fastify: both are judged and watched, a session and a token, as in Express", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const login = { user: "ada", sid: "s1", loggedInAt: guard.now() };
  const find = (/** @type {any} */ { headers }) => headers.cookie && login;
  const [app, ofExpress] = [fastify(), express()];
  t.after(() => app.close());
  await app.register(guardPlugin, { guard, session: find, require: false });
  await app.register(guardPlugin, { guard, exempt: ["/open"] });
  app.get("/", async (request) => /** @type {any} */ (request).hubIdentity.user);
  app.get("/open", async (request) => /** @type {any} */ (request).hubIdentity?.user ?? "nobody");
  app.get("/stream", (_, reply) => {
    reply.hijack();
    reply.raw.writeHead(200).write("hello");
  });
  ofExpress.use(guardMiddleware(guard, { session: find, require: false }));
  ofExpress.use(guardMiddleware(guard, { exempt: ["/open"] }));
  ofExpress.get("/stream", (_, response) => void response.writeHead(200).write("hello"));
  ofExpress.get("/{*path}", (asked, response) => {
    response.send(/** @type {any} */ (asked).hubIdentity?.user ?? "nobody");
  });
  const Cookie = "1";
  for (const url of [await app.listen(), await listen(t, ofExpress)]) {
    /** @param {string} path @param {Record<string, string>} [headers] */
    const ask = async (path, headers) => (await get(url + path, { headers })).body;
    const both = { Cookie, ...bearer(hub, { sub: "bob", sid: `of ${url}` }) };
    assert.equal((await get(url)).status, 401);
    assert.equal(await ask("/open"), "nobody");
    for (const path of ["/", "/open"]) assert.equal(await ask(path, { Cookie }), "ada");
    assert.equal(await ask("/", both), "bob");
    const stream = await fetch(`${url}/stream`, { headers: both });
    assert.equal(guard.sizes.watches, 2);
    hub.end({ user: "bob", scope: "session", sid: `of ${url}` });
    assert.equal(
      await soon(
        "the cut",
        stream.text().catch(() => "cut"),
      ),
      "cut",
    );
    await until("nothing is watched", () => guard.sizes.watches === 0);
    assert.equal((await get(url, { headers: both })).status, 401);
    const first = await fetch(`${url}/stream`, {
      headers: { Cookie, ...bearer(hub, { sub: "carol" }) },
    });
    hub.end({ user: "ada", scope: "session", sid: login.sid });
    assert.equal(
      await soon(
        "the cut",
        first.text().catch(() => "cut"),
      ),
      "cut",
    );
    Object.assign(login, { sid: "s2", loggedInAt: guard.now() });
  }
});

test("Fastify: a session of the app's own is given up when it has ended", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const app = fastify();
  const logins = new Map([["1", { user: "ada", sid: "s1", loggedInAt: guard.now() }]]);
  const find = (/** @type {any} */ request) => logins.get(request.headers.cookie);
  const forget = (/** @type {any} */ request) => logins.delete(request.headers.cookie);
  await app.register(guardPlugin, { guard, session: find, forget });
  app.get("/", async (request) => /** @type {any} */ (request).hubIdentity.sid);
  const headers = { cookie: "1" };
  assert.equal((await app.inject({ url: "/", headers })).body, "s1");
  hub.end({ user: "ada" });
  await until("the end", async () => (await app.inject({ url: "/", headers })).statusCode === 401);
  await until("it is given up", () => logins.size === 0);
});

test("ws: an upgrade without a living session is 401, and a socket closes with 4401", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const server = createServer().listen(0, "127.0.0.1");
  const sockets = new WebSocketServer({ noServer: true });
  guardUpgrades(server, sockets, guard, { cookie: "session" });
  sockets.on("connection", (socket, request) =>
    socket.send(/** @type {any} */ (request).hubIdentity.user),
  );
  const url = (await listen(t, server)).replace("http", "ws");
  const refused = new WebSocket(url);
  /** @type {import("node:http").IncomingMessage} */
  const answer = await new Promise((resolve) =>
    refused.on("unexpected-response", (_, got) => resolve(got)),
  );
  assert.deepEqual(
    [answer.statusCode, answer.headers["www-authenticate"]],
    [401, 'Bearer realm="logout-hub"'],
  );
  refused.on("error", () => undefined);
  refused.terminate();
  const foreign = {
    Cookie: `session=${bearer(hub).Authorization.slice(7)}`,
    Origin: "https://evil.example",
  };
  const evil = new WebSocket(url, { headers: foreign });
  assert.match(`${await new Promise((resolve) => evil.on("error", resolve))}`, /403/);
  const socket = new WebSocket(url, { headers: bearer(hub) });
  const greeting = await new Promise((resolve) =>
    socket.on("message", (text) => resolve(`${text}`)),
  );
  assert.equal(greeting, "ada");
  const closed = new Promise((resolve) =>
    socket.on("close", (code, why) => resolve([code, `${why}`])),
  );
  hub.end({ user: "ada", reason: "admin" });
  assert.deepEqual(await soon("the close", closed), [4401, "admin"]);
});

test("Socket.IO: a socket is refused by connect_error, and disconnected with its session", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const server = createServer().listen(0, "127.0.0.1");
  const sockets = new Server(server);
  guardSockets(sockets, guard);
  sockets.on("connection", (socket) => socket.emit("hello", socket.data.hubIdentity.user));
  // Or the process stays: for 30 s, a poll that closes the connection is waited for.
  sockets.engine.on("connection", ({ transport }) =>
    Object.assign(transport, { closeTimeout: 10 }),
  );
  const url = await listen(t, server);
  /** @param {object} options */
  const connect = (options) => {
    const socket = io(url, {
      forceNew: true,
      transports: ["websocket"],
      reconnection: false,
      ...options,
    });
    t.after(() => socket.disconnect());
    return socket;
  };
  /** @type {any} */
  const error = await new Promise((resolve) => connect({}).on("connect_error", resolve));
  assert.deepEqual([error.message, error.data.code], ["token_missing", "token_missing"]);
  const token = bearer(hub).Authorization.slice(7);
  const [given, sent] = [
    connect({ auth: { token } }),
    connect({ extraHeaders: bearer(hub, { sid: "s2" }) }),
  ];
  const polling = connect({ auth: { token }, transports: ["polling"] });
  const greetings = [given, sent, polling].map(
    (socket) => new Promise((resolve) => socket.on("hello", resolve)),
  );
  assert.deepEqual(await soon("the greetings", Promise.all(greetings)), ["ada", "ada", "ada"]);
  const gone = [given, polling].map(
    (socket) => new Promise((resolve) => socket.on("disconnect", resolve)),
  );
  hub.end({ user: "ada", scope: "session", sid: "s1" });
  await soon("the disconnects", Promise.all(gone));
  assert.equal(sent.connected, true);
});

test("Socket.IO: a server that recovers sockets without asking is not guarded in vain", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const sockets = new Server({ connectionStateRecovery: {} });
  for (const one of [sockets, sockets.of("/other")])
    assert.throws(() => guardSockets(one, guard), /connectionStateRecovery/);
});

test("a response that states its length is finished after its session has ended", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const check = guardMiddleware(guard);
  const [half, length] = ["x".repeat(500), { "Content-Length": "1000" }];
  /** @param {import("node:http").ServerResponse} response */
  const begin = (response) => {
    response.writeHead(200, length);
    response.write(half);
    guard.onLogout(() => setTimeout(() => response.end(half), 1500));
  };
  const plain = await listen(
    t,
    createServer((incoming, response) => void check(incoming, response, () => begin(response))),
  );
  const app = fastify();
  await app.register(guardPlugin, { guard });
  const parts = async function* () {
    yield half;
    await new Promise((resolve) => guard.onLogout(() => setTimeout(resolve, 1500)));
    yield half;
  };
  app.get("/", (_, reply) => reply.headers(length).send(Readable.from(parts())));
  const urls = [plain, await app.listen()];
  t.after(() => app.close());
  const answers = await Promise.all(urls.map((url) => fetch(url, { headers: bearer(hub) })));
  const bodies = answers.map((answer) => answer.text());
  hub.end({ user: "ada" });
  for (const body of await soon("both", Promise.all(bodies))) assert.equal(body.length, 1000);
});

test("a stream that answers its own logout is finished, and others are cut: plain HTTP, Express, Fastify", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, { adminToken: ADMIN });
  const logOut = async (/** @type {string} */ sid) => {
    await guard.endSession("ada", sid);
    const told = new Promise((resolve) => {
      const stop = guard.onLogout(() => resolve(stop()));
    });
    hub.end({ user: "ada", scope: "session", sid });
    await soon("the logout", told);
  };
  /** @param {string} url @param {string} sid */
  const parts = async function* (url, sid) {
    if (url === "/early") await logOut(sid);
    yield "one";
    if (url === "/late") await logOut(sid);
    await pause(10);
    yield "two";
    // Longer than the grace of a response whose session had ended before.
    if (url === "/early") await pause(2500);
    yield "three";
    if (url === "/other") await new Promise(() => undefined);
  };
  const check = guardMiddleware(guard);
  const answer = (/** @type {any} */ incoming, /** @type {any} */ response) =>
    pipeline(Readable.from(parts(incoming.url, incoming.hubIdentity.sid)), response, () => {});
  const plain = createServer(
    (incoming, response) =>
      void check(incoming, response, () => void answer(incoming, response.writeHead(200))),
  );
  const app = express();
  app.use(guardMiddleware(guard), express.json(), guardMiddleware(guard), answer);
  const plugged = fastify();
  await plugged.register(guardPlugin, { guard });
  plugged.post("/*", (asked, reply) =>
    reply.send(
      Readable.from(parts(asked.url, /** @type {any} */ (asked).hubIdentity.sid), {
        objectMode: false,
      }),
    ),
  );
  const urls = [await listen(t, plain.listen(0, "127.0.0.1")), await listen(t, app)];
  urls.push(await plugged.listen());
  t.after(() => plugged.close());
  let count = 0;
  const ask = async (/** @type {string} */ url) => {
    for (const path of ["/early", "/late"]) {
      count += 1;
      const headers = {
        ...bearer(hub, { sid: `s${count}` }),
        "Content-Type": "application/json",
      };
      const init = { method: "POST", headers, body: '{"a": 1}' };
      const other = await fetch(`${url}/other`, init);
      const cut = assert.rejects(other.text());
      const own = await fetch(url + path, init);
      assert.equal(await soon("the answer", own.text()), "onetwothree", url + path);
      await soon("the cut", cut);
    }
  };
  for (const url of urls) await ask(url);
});

test("an origin that no browser sends is refused at once, with what to write", () => {
  const gate = (/** @type {string} */ origin) =>
    guardMiddleware(/** @type {any} */ ({}), { cookie: "s", origins: [origin] });
  const written = {
    "https://app.example:443": "https://app.example",
    "https://App.example/": "https://app.example",
    "https://app.example.": "https://app.example",
    "https://bücher.example": "https://xn--bcher-kva.example",
  };
  for (const [origin, right] of Object.entries(written))
    assert.throws(() => gate(origin), new RegExp(`write ${right}$`));
  for (const origin of ["*", "null", "https://*.example", "app.example", "https://"])
    assert.throws(() => gate(origin), /^Error: origins: /);
  for (const origin of ["https://App.example:8443", "capacitor://localhost", "http://[::1]:3000"])
    gate(origin);
});

test("Express: who was found by one guard needs nothing for the next, and errors are the app's", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const app = express();
  const login = { user: "ada", sid: "s1", loggedInAt: guard.now() };
  const find = (/** @type {any} */ { headers }) =>
    headers.cookie === "bad" ? assert.fail("no store") : headers.cookie && login;
  app.use(
    guardMiddleware(guard, { session: find, require: false, origins: ["https://A.example"] }),
  );
  app.use(guardMiddleware(guard, { exempt: ["/open"] }));
  app.use((asked, response) => void response.send(/** @type {any} */ (asked).hubIdentity.user));
  app.use(
    (
      /** @type {Error} */ error,
      /** @type {any} */ _,
      /** @type {any} */ response,
      /** @type {any} */ __,
    ) => response.status(500).send(error.message),
  );
  const url = await listen(t, app);
  assert.equal((await get(url)).status, 401);
  for (const path of ["", "/open"])
    assert.equal((await get(url + path, { headers: { Cookie: "1" } })).body, "ada");
  const failed = await get(url, { headers: { Cookie: "bad" } });
  assert.deepEqual([failed.status, failed.body], [500, "no store"]);
  const { Authorization } = bearer(hub);
  const twice = await get(url, { headers: { Authorization: [Authorization, Authorization] } });
  assert.equal(twice.status, 401);
});

test("ws: who is refused cannot keep the connection open, nor who asks for no such path", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const server = createServer().listen(0, "127.0.0.1");
  for (const path of ["/a", "/b"])
    guardUpgrades(server, new WebSocketServer({ noServer: true, path }), guard);
  const { port } = new URL(await listen(t, server));
  const head = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket";
  for (const [path, status] of [
    ["/a", 401],
    ["/b", 401],
    ["/c", 404],
  ]) {
    const socket = connect({ port: Number(port), allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.write(`GET ${path} HTTP/1.1\r\n${head}\r\n\r\n`);
    const [answer] = await once(socket, "data");
    assert.match(`${answer}`, new RegExp(`^HTTP/1.1 ${status} `));
    const count = promisify(server.getConnections.bind(server));
    await until("the end of the connection", async () => (await count()) === 0);
  }
});
