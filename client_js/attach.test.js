import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { io as connect } from "socket.io-client";
import { attach } from "./client.js";
import {
  LOGOUT,
  MemoryStorage,
  quietWhile,
  REVOKED,
  reaches,
  recorder,
  refuse,
  startHttp,
  startHub,
  until,
} from "./support.js";

/** The stock client of that hub, with ours attached.
 * @param {import("node:test").TestContext} t @param {{url: string}} hub
 * @param {import("./session.js").Options} [options]
 * @param {Partial<import("socket.io-client").ManagerOptions & import("socket.io-client").SocketOptions>} [stock] */
function startAttached(t, hub, options, stock) {
  const socket = connect(hub.url, { auth: { token: "token-1" }, forceNew: true, ...stock });
  const storage = new MemoryStorage({ draft: "secret", theme: "dark" });
  const onLogout = recorder();
  const error = recorder();
  const client = attach(socket, { storages: [storage], keep: ["theme"], onLogout, ...options });
  client.on("error", error);
  t.after(() => {
    client.close();
    socket.disconnect();
  });
  return { socket, client, storage, told: onLogout.calls, errors: error.calls };
}

describe("attached to the stock client", { concurrency: true }, () => {
  test("a notification is cleared for, acked and told once", async (t) => {
    const hub = await startHub(t);
    const { client, storage, told } = startAttached(t, hub);
    await reaches(client, "connected");
    assert.deepEqual(await hub.notify(LOGOUT), { cleared: true });
    hub.latest().disconnect(true);
    await quietWhile();
    assert.deepEqual(storage.entries(), { theme: "dark" });
    assert.deepEqual(told, [LOGOUT]);
    assert.equal(client.state, "ended");
    assert.equal(hub.sockets.length, 1);
  });

  test("a socket that is connected already is taken as such", async (t) => {
    const hub = await startHub(t);
    const socket = connect(hub.url, { forceNew: true });
    t.after(() => socket.disconnect());
    await until("the connection", () => socket.connected);
    const client = attach(socket, { storages: [] });
    assert.equal(client.state, "connected");
    assert.deepEqual(await hub.notify(LOGOUT), { cleared: true });
    await reaches(client, "ended");
  });

  test("an ack that fails leaves the app no less told", async (t) => {
    const hub = await startHub(t);
    const { socket, client, told } = startAttached(t, hub);
    await reaches(client, "connected");
    const [heard] = socket.listeners("logoutNotification");
    heard(LOGOUT, () => assert.fail("expected: an ack of the app's own socket"));
    await reaches(client, "ended");
    assert.deepEqual(told, [LOGOUT]);
  });

  test("a revoked token ends the session and the trying", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, () => ({ ...REVOKED, logout: LOGOUT }));
    const { socket, client, storage, told } = startAttached(t, hub);
    await reaches(client, "ended");
    await quietWhile();
    assert.deepEqual(told, [LOGOUT]);
    assert.deepEqual(storage.entries(), { theme: "dark" });
    assert.equal(socket.active, false);
    assert.equal(tries.length, 1);
  });

  test("an invalid token stops with an error and clears nothing", async (t) => {
    const hub = await startHub(t);
    refuse(hub.io, () => ({ code: "token_invalid", title: "Not ours" }));
    const { client, storage, told, errors } = startAttached(t, hub);
    await until("the error", () => errors.length > 0);
    assert.deepEqual(errors, [{ code: "token_invalid", title: "Not ours", detail: undefined }]);
    assert.equal(storage.getItem("draft"), "secret");
    assert.equal(client.state, "disconnected");
    assert.deepEqual(told, []);
  });

  test("a retryable refusal is tried again, which the stock client does not do", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, () =>
      tries.length < 3 ? { code: "unavailable", title: "Later", retryable: true } : undefined,
    );
    const { client } = startAttached(t, hub);
    await reaches(client, "connected");
    assert.equal(tries.length, 3);
  });

  test("an expired token is replaced once by the token function's fresh one", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, ({ token }) =>
      token === "new" ? undefined : { code: "token_expired", title: "Too old" },
    );
    const { client, told } = startAttached(t, hub, { token: async () => "new" });
    await reaches(client, "connected");
    assert.equal(tries.length, 2);
    assert.deepEqual(told, []);
  });

  test("an expired token of the socket's own auth function is asked for once more", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, () => ({ code: "token_expired", title: "Too old" }));
    const { client, told } = startAttached(t, hub, {}, { auth: (send) => send({ token: "old" }) });
    await reaches(client, "ended");
    await quietWhile();
    assert.equal(tries.length, 2);
    assert.deepEqual(told, [{ reason: "expired" }]);
  });

  for (const [how, isFunction] of /** @type {const} */ ([
    ["its own auth", true],
    ["a token function beside it", false],
  ]))
    test(`a fresh token of ${how} that ended while there was no network is replaced in turn`, async (t) => {
      const hub = await startHub(t);
      const tries = recorder();
      hub.io.use(({ handshake: { auth }, conn }, next) => {
        tries(auth.token);
        // The second try is lost on its way.
        if (tries.calls.length === 2) return conn.close();
        const error = Object.assign(Error("token_expired"), { data: { code: "token_expired" } });
        next(auth.token === "t3" ? undefined : error);
      });
      // Each is what the app has until the hub has seen it twice, or refused it.
      const token = () => ["t1", "t2", "t2"][tries.calls.length] ?? "t3";
      const { client, told, storage } = isFunction
        ? startAttached(t, hub, {}, { auth: (send) => send({ token: token() }) })
        : startAttached(t, hub, { token }, { auth: { token: "t1" } });
      await reaches(client, "connected");
      assert.deepEqual(tries.calls, ["t1", "t2", "t2", "t3"]);
      assert.equal(storage.getItem("draft"), "secret");
      assert.deepEqual(told, []);
    });

  for (const [name, fresh] of /** @type {const} */ ([
    ["is answered by connecting with a newer token", "new"],
    ["ends the session when there is no newer token", "token-1"],
  ]))
    test(`a notification that the token expired ${name}`, async (t) => {
      const hub = await startHub(t);
      const { client, socket, told } = startAttached(t, hub, { token: () => fresh });
      await reaches(client, "connected");
      const expired = { id: "x", scope: "session", reason: "expired", sid: "s1" };
      assert.deepEqual(await hub.notify(expired), { cleared: false });
      hub.latest().disconnect();
      if (fresh === "new") {
        await until("a second connection", () => hub.sockets.length === 2);
        assert.equal(hub.latest().handshake.auth.token, "new");
        assert.deepEqual(told, []);
      } else {
        await reaches(client, "ended");
        await until("the app to be told", () => told.length > 0);
        assert.deepEqual(told, [expired]);
        await until("the socket to stay away", () => !socket.active);
      }
    });

  test("the session is asked for, as a stock socket does not tell it", async (t) => {
    const hub = await startHub(t);
    hub.answer = () => [200, { sid: "s1", user: "ada" }];
    const { client } = startAttached(t, hub);
    await until("the session", () => client.session === "s1");
  });

  test("the session is asked for anew at each connect, as the app may have logged in", async (t) => {
    const hub = await startHub(t);
    let sid = "s1";
    hub.answer = () => [200, { sid, user: "ada" }];
    const { socket, client } = startAttached(t, hub);
    await until("the session", () => client.session === "s1");
    sid = "s2";
    socket.disconnect().connect();
    await until("the new session", () => client.session === "s2");
  });

  test("a disconnect by the server without a notification is followed by a reconnect", async (t) => {
    const hub = await startHub(t);
    const { client, storage } = startAttached(t, hub);
    await reaches(client, "connected");
    hub.latest().disconnect();
    await until("a second connection", () => hub.sockets.length === 2);
    await reaches(client, "connected");
    assert.equal(storage.getItem("draft"), "secret");
  });

  test("logout() goes over the socket and ends this tab", async (t) => {
    const hub = await startHub(t);
    const commands = recorder();
    const done = { id: "l9", scope: "all", sessions: [] };
    hub.io.on("connection", (socket) =>
      socket.on("logout", (command, ack) => {
        commands(command);
        ack({ ok: true, ...done });
      }),
    );
    const { client, storage, told } = startAttached(t, hub);
    await reaches(client, "connected");
    assert.deepEqual(await client.logout({ reason: "policy" }), done);
    await until("the app to be told", () => told.length === 1);
    assert.equal(commands.calls[0].reason, "policy");
    assert.deepEqual(told, [{ id: "l9", scope: "all", reason: "policy" }]);
    assert.deepEqual(storage.entries(), { theme: "dark" });
    assert.deepEqual(
      hub.calls.filter(({ method }) => method !== "GET"),
      [],
    );
  });

  test("logout() goes by HTTP with the socket's token while there is no connection", async (t) => {
    const web = await startHttp(t);
    web.answer = () => [200, { id: "l9", scope: "all" }];
    const { client, socket } = startAttached(t, web);
    const failed = recorder();
    socket.on("connect_error", failed);
    await until("a failed connect", () => failed.calls.length > 0);
    assert.equal(socket.active, true);
    await client.logout();
    await reaches(client, "ended");
    const call = web.calls.find(({ path }) => path === "/logout");
    assert.equal(call?.method, "POST");
    assert.equal(call?.headers.authorization, "Bearer token-1");
    assert.equal(socket.active, false);
  });

  test("close() takes our listeners off and leaves the socket to the app", async (t) => {
    const hub = await startHub(t);
    const { client, socket, storage, told } = startAttached(t, hub);
    await reaches(client, "connected");
    client.close();
    client.close();
    for (const event of ["connect", "disconnect", "connect_error", "logoutNotification"])
      assert.deepEqual(socket.listeners(/** @type {any} */ (event)), [], event);
    assert.equal(socket.connected, true);
    const heard = new Promise((resolve) => socket.on("logoutNotification", resolve));
    hub.latest().emit("logoutNotification", LOGOUT);
    await heard;
    assert.equal(storage.getItem("draft"), "secret");
    assert.deepEqual(told, []);
    assert.equal(client.state, "closed");
  });
});

describe("the hub that an attached client asks", () => {
  for (const [address, origin] of [
    ["https://hub.eu.elb.amazonaws.com", "https://hub.eu.elb.amazonaws.com"],
    ["https://news.example/admin", "https://news.example"],
    ["wss://ws.example:8443", "https://ws.example:8443"],
    ["ws://news.example", "http://news.example"],
    ["https://http.ws.example", "https://http.ws.example"],
  ])
    test(`is the one that the app's socket connects to: ${address}`, async (t) => {
      const { mock } = t.mock.method(globalThis, "fetch", async () => Response.json({}));
      const socket = connect(address, { autoConnect: false, forceNew: true, auth: { token: "t" } });
      const client = attach(socket, { storages: [] });
      t.after(() => client.close());
      await client.sessions();
      const [asked, init] = /** @type {[string, any]} */ (
        /** @type {unknown} */ (mock.calls[0].arguments)
      );
      assert.equal(asked, `${origin}/sessions`);
      assert.equal(init.headers.Authorization, "Bearer t");
    });
});
