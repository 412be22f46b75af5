import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createLogoutHub } from "./client.js";
import {
  LOGOUT,
  MemoryStorage,
  OPEN,
  quietWhile,
  REVOKED,
  reaches,
  recorder,
  refuse,
  soon,
  startHttp,
  startHub,
  startRaw,
  startTelling,
  until,
} from "./support.js";

/** @typedef {import("node:test").TestContext} TestContext */

/** A client of that hub, with something to clear. @param {TestContext} t
 * @param {{url: string}} hub @param {import("./session.js").Options} [options] */
function startClient(t, { url }, options) {
  const storage = new MemoryStorage({ draft: "secret", theme: "dark" });
  const onLogout = recorder();
  const error = recorder();
  const client = createLogoutHub({
    url,
    token: "token-1",
    storages: [storage],
    keep: ["theme"],
    onLogout,
    ...options,
  });
  t.after(() => client.close());
  client.on("error", error);
  return { client, storage, told: onLogout.calls, errors: error.calls };
}

const EXPIRED = { code: "token_expired", title: "Too old" };
const IMPATIENT = '0{"sid":"e","upgrades":[],"pingInterval":60,"pingTimeout":60}';

describe("connecting", { concurrency: true }, () => {
  test("CONNECT tells the hub the token and the device", async (t) => {
    const hub = await startHub(t);
    const { client } = startClient(t, hub, { device: "Ana's laptop" });
    await reaches(client, "connected");
    assert.deepEqual(hub.latest().handshake.auth, { token: "token-1", device: "Ana's laptop" });
    assert.equal(hub.latest().conn.transport.name, "websocket");
    assert.doesNotMatch(hub.latest().request.url ?? "", /token-1/);
  });

  test("without a token CONNECT holds none, for the cookie speaks", async (t) => {
    const hub = await startRaw(t, (socket) => socket.send(OPEN));
    startClient(t, hub, { token: undefined });
    await until("CONNECT", () => hub.frames.length > 0);
    assert.deepEqual(hub.frames, ["40{}"]);
  });

  test("a token function is asked again at each connect", async (t) => {
    const hub = await startHub(t);
    let count = 0;
    const { client } = startClient(t, hub, {
      token: async () => {
        count += 1;
        return `token-${count}`;
      },
    });
    await reaches(client, "connected");
    hub.latest().conn.close();
    await until("a second connection", () => hub.sockets.length === 2);
    assert.deepEqual(
      hub.sockets.map((socket) => socket.handshake.auth.token),
      ["token-1", "token-2"],
    );
  });

  test("a token function that fails is asked again", async (t) => {
    const hub = await startHub(t);
    let count = 0;
    const { client } = startClient(t, hub, {
      token: () => {
        count += 1;
        if (count === 1) throw new Error("no network");
        return "token-2";
      },
    });
    await reaches(client, "connected");
    assert.equal(hub.latest().handshake.auth.token, "token-2");
  });

  test("a disconnect by the server without a notification is followed by a reconnect", async (t) => {
    const hub = await startHub(t);
    const { client, storage } = startClient(t, hub);
    await reaches(client, "connected");
    hub.latest().disconnect();
    await until("a second connection", () => hub.sockets.length === 2);
    await reaches(client, "connected");
    assert.equal(storage.getItem("draft"), "secret");
  });

  test("the client comes back after the server was restarted", async (t) => {
    const first = await startHub(t);
    const { client } = startClient(t, first);
    const states = recorder();
    client.on("state", states);
    await reaches(client, "connected");
    await first.io.close();
    await until("the loss to be noticed", () => states.calls.includes("disconnected"));
    const second = await startHub(t, {}, first.port);
    await reaches(client, "connected");
    assert.equal(second.sockets.length, 1);
  });

  test("pings are answered, so the stock server keeps the connection", async (t) => {
    const hub = await startHub(t, { pingInterval: 100, pingTimeout: 1000 });
    const { client } = startClient(t, hub);
    await reaches(client, "connected");
    const pongs = recorder();
    hub.latest().conn.on("heartbeat", pongs);
    await until("three pongs", () => pongs.calls.length >= 3);
    assert.equal(hub.sockets.length, 1);
  });

  test("a connection without pings is given up and made anew", async (t) => {
    const hub = await startRaw(t, (socket) => {
      socket.send(IMPATIENT);
      socket.send('40{"sid":"x"}');
    });
    const { client } = startClient(t, hub);
    const states = recorder();
    client.on("state", states);
    await until("a third connection", () => hub.count() === 3);
    assert.deepEqual(states.calls.slice(0, 3), ["connected", "disconnected", "connecting"]);
  });

  test("a malformed frame closes the connection, and the next one works", async (t) => {
    const junk = [
      ...["42{", "45[]", "9", "", '0{"pingInterval":-1}', "44", "431{}", Buffer.from("2")],
      ...["0", "0null", "40", "41", "42", "42{}", "44null", '44"text"', "44{}"],
    ];
    const hub = await startRaw(t, (socket, count) => {
      socket.send(OPEN);
      socket.send('40{"sid":"x"}');
      if (count <= junk.length) socket.send(junk[count - 1]);
    });
    const { client, storage, errors } = startClient(t, hub);
    await until("a connection after the last junk", () => hub.count() > junk.length);
    assert.equal(storage.getItem("draft"), "secret");
    assert.deepEqual(errors, []);
    assert.notEqual(client.state, "ended");
  });

  test("a connection that is never accepted is dropped and tried again", async (t) => {
    const hub = await startRaw(t, (socket) => socket.send(OPEN));
    startClient(t, hub);
    await until("a second connection", () => hub.count() === 2);
  });

  test("an unknown event is ignored", async (t) => {
    const hub = await startHub(t);
    const { client, storage } = startClient(t, hub);
    await reaches(client, "connected");
    hub.latest().emit("news", { id: 1 });
    await hub.latest().disconnect();
    await until("a second connection", () => hub.sockets.length === 2);
    assert.equal(storage.getItem("draft"), "secret");
  });
});

describe("refusals", { concurrency: true }, () => {
  test("a revoked token clears, tells the app why, and is never tried again", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, () => ({ ...REVOKED, logout: LOGOUT }));
    const { client, storage, told } = startClient(t, hub);
    await reaches(client, "ended");
    await quietWhile();
    assert.deepEqual(told, [LOGOUT]);
    assert.deepEqual(storage.entries(), { theme: "dark" });
    assert.equal(tries.length, 1);
  });

  test("a login that was ended clears, and the app is told to have people log in anew", async (t) => {
    const hub = await startHub(t);
    const logout = { ...LOGOUT, reauthenticate: true };
    const tries = refuse(hub.io, () => ({ ...REVOKED, code: "login_required", logout }));
    const { client, storage, told } = startClient(t, hub, { token: () => "the same login's" });
    await until("the app to be told", () => told.length === 1);
    assert.deepEqual(told, [logout]);
    assert.deepEqual(storage.entries(), { theme: "dark" });
    assert.equal(client.state, "ended");
    await quietWhile();
    assert.equal(tries.length, 1);
  });

  test("a token that is not valid yet is waited for", async (t) => {
    const hub = await startHub(t);
    let early = true;
    refuse(hub.io, () =>
      early ? { code: "token_not_yet_valid", title: "Not yet", retryable: true } : undefined,
    );
    const { client, storage, errors } = startClient(t, hub);
    await reaches(client, "disconnected");
    early = false;
    await reaches(client, "connected");
    assert.deepEqual(errors, []);
    assert.equal(storage.getItem("draft"), "secret");
  });

  test("an expired token without a way to a fresh one ends with the reason expired", async (t) => {
    const hub = await startHub(t);
    refuse(hub.io, () => ({ code: "token_expired", title: "Too old" }));
    const { client, storage, told } = startClient(t, hub);
    await reaches(client, "ended");
    assert.deepEqual(told, [{ reason: "expired" }]);
    assert.deepEqual(storage.entries(), { theme: "dark" });
  });

  for (const code of ["token_expired", "token_too_old"]) {
    test(`${code} is answered once with a fresh token`, async (t) => {
      const hub = await startHub(t);
      refuse(hub.io, ({ token }) => (token === "old" ? { code, title: "No" } : undefined));
      let asked = 0;
      const { client, storage, told } = startClient(t, hub, {
        token: () => {
          asked += 1;
          return asked === 1 ? "old" : "new";
        },
      });
      await reaches(client, "connected");
      assert.equal(hub.latest().handshake.auth.token, "new");
      assert.equal(asked, 2);
      assert.deepEqual(told, []);
      assert.equal(storage.getItem("draft"), "secret");
    });
  }

  test("a fresh token that is refused as well ends the session", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, () => ({ code: "token_expired", title: "Too old" }));
    let count = 0;
    const { client, told } = startClient(t, hub, {
      token: () => {
        count += 1;
        return `token-${count}`;
      },
    });
    await reaches(client, "ended");
    assert.deepEqual(
      tries.map(({ token }) => token),
      ["token-1", "token-2"],
    );
    assert.deepEqual(told, [{ reason: "expired" }]);
  });

  /** A hub that is lost once while it is asked about a token that is newer than the refused first.
   * @param {TestContext} t */
  async function startLosing(t) {
    const tries = recorder();
    const hub = await startRaw(t, (socket, count) => {
      socket.send(OPEN);
      socket.on("message", (data) => {
        const [, auth] = /^40(.*)/.exec(String(data)) ?? [];
        if (!auth) return;
        const { token } = JSON.parse(auth);
        tries(token);
        if (count === 2) socket.terminate();
        else if (token === "t3") socket.send('40{"sid":"x"}');
        else socket.send('44{"message":"token_expired","data":{"code":"token_expired"}}');
      });
    });
    return Object.assign(hub, { tries: tries.calls });
  }

  for (const [how, given] of /** @type {const} */ ([
    ["is not sent again, when the app has one that is newer still", ["t1", "t2", "t3"]],
    ["is replaced in turn, when the app learns of it no sooner", ["t1", "t2", "t2", "t3"]],
  ]))
    test(`a fresh token that ended while the hub could not be reached ${how}`, async (t) => {
      const hub = await startLosing(t);
      const tokens = [...given];
      const { client, storage, told } = startClient(t, hub, { token: () => tokens.shift() });
      await reaches(client, "connected");
      assert.deepEqual(hub.tries, given);
      assert.equal(storage.getItem("draft"), "secret");
      assert.deepEqual(told, []);
    });

  test("an expired token is kept to while the app cannot say whether there is a newer one", async (t) => {
    const hub = await startHub(t);
    refuse(hub.io, ({ token }) => (token === "old" ? EXPIRED : undefined));
    const answers = [() => "old", () => assert.fail("expected: no network"), () => "new"];
    const { client, storage, told } = startClient(t, hub, { token: () => answers.shift()?.() });
    await reaches(client, "connected");
    assert.equal(hub.latest().handshake.auth.token, "new");
    assert.equal(storage.getItem("draft"), "secret");
    assert.deepEqual(told, []);
  });

  test("the same token given again ends the session", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, () => ({ code: "token_expired", title: "Too old" }));
    const { client } = startClient(t, hub, { token: () => "same" });
    await reaches(client, "ended");
    assert.equal(tries.length, 1);
  });

  test("a retryable refusal is tried again, without polling", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, () =>
      tries.length < 4 ? { code: "unavailable", title: "Later", retryable: true } : undefined,
    );
    const { client, errors } = startClient(t, hub);
    await reaches(client, "connected");
    assert.equal(tries.length, 4);
    assert.deepEqual(errors, []);
    assert.deepEqual(hub.calls, []);
  });

  for (const code of ["token_missing", "token_invalid", "origin_not_allowed", "forbidden"]) {
    test(`${code} stops with an error and clears nothing`, async (t) => {
      const hub = await startHub(t);
      const tries = refuse(hub.io, () => ({ code, title: "No", detail: "of this request" }));
      const { client, storage, told, errors } = startClient(t, hub);
      await until("the error", () => errors.length > 0);
      await quietWhile();
      assert.deepEqual(errors, [{ code, title: "No", detail: "of this request" }]);
      assert.equal(client.state, "disconnected");
      assert.equal(storage.getItem("draft"), "secret");
      assert.deepEqual(told, []);
      assert.equal(tries.length, 1);
    });
  }
});

describe("a login that is gone", { concurrency: true }, () => {
  const MISSING = { code: "token_missing", title: "No token" };

  for (const [what, given] of /** @type {const} */ ([
    ["token", "t1"],
    ["cookie", undefined],
  ]))
    test(`ends the session that had it by ${what}, though nobody says that it was ended`, async (t) => {
      const hub = await startTelling(t, { session: "s1", user: "ada" });
      let token = /** @type {string | undefined} */ (given);
      const options = { token: given && (() => token) };
      const { client, storage, told, errors } = startClient(t, hub, options);
      await reaches(client, "connected");
      token = undefined;
      hub.answer = () => [401, MISSING];
      await client.sessions().catch(() => {});
      await reaches(client, "ended");
      await until("the app to be told", () => told.length > 0);
      assert.deepEqual(told, [{ reason: "expired", sid: "s1" }]);
      assert.equal(storage.getItem("draft"), null);
      assert.deepEqual(errors, []);
    });

  test("by cookie is not tried for ever when the hub calls it ended", async (t) => {
    const hub = await startHub(t);
    const tries = refuse(hub.io, () => ({ code: "token_expired", title: "Ended" }));
    const { client, told } = startClient(t, hub, { token: undefined });
    await reaches(client, "ended");
    await quietWhile();
    assert.equal(tries.length, 1);
    assert.equal(told.length, 1);
  });
});

describe("a cookie that ends", { concurrency: true }, () => {
  const TOLD = { session: "s1", user: "ada", expires_in: 600 };

  test("is asked about anew, as the app may have renewed it unseen", async (t) => {
    const hub = await startTelling(t, TOLD);
    const { client, told } = startClient(t, hub, { token: undefined });
    await reaches(client, "connected");
    hub.notify({ reason: "expired", sid: "s1" });
    await until("the second socket", () => hub.auths.length === 2);
    await reaches(client, "connected");
    assert.deepEqual(told, []);
  });
});

describe("a token that is about to end", { concurrency: true }, () => {
  /** Gives a new token each time. */
  function minting() {
    let count = 0;
    return () => {
      count += 1;
      return `token-${count}`;
    };
  }
  const TOLD = { session: "s1", user: "ada", expires_in: 1.2 };

  test("is replaced over the socket, by as much as the hub says is left", async (t) => {
    const hub = await startTelling(t, TOLD, () => ({ ok: true, expires_in: 600 }));
    const { client } = startClient(t, hub, { token: minting() });
    await until("the refresh", () => hub.events.length > 0);
    await quietWhile();
    assert.deepEqual(hub.events, [{ name: "refresh", value: { token: "token-2" } }]);
    assert.equal(hub.sockets.length, 1);
    assert.equal(client.state, "connected");
  });

  test("is asked for again while there is no newer one", async (t) => {
    const hub = await startTelling(t, { ...TOLD, expires_in: 8 }, () => ({ ok: true }));
    const asked = recorder();
    let token = "old";
    const { client } = startClient(t, hub, {
      token: () => {
        asked();
        return token;
      },
    });
    await reaches(client, "connected");
    await until("a vain try", () => asked.calls.length === 2);
    assert.deepEqual(hub.events, []);
    token = "new";
    await until("the refresh", () => hub.events.length > 0);
    assert.deepEqual(hub.events, [{ name: "refresh", value: { token: "new" } }]);
  });

  test("is left alone when it is no function's", async (t) => {
    const hub = await startTelling(t, TOLD);
    startClient(t, hub);
    await until("the connect", () => hub.auths.length === 1);
    await quietWhile();
    assert.deepEqual(hub.events, []);
  });

  test("and ended is answered by connecting with a newer one", async (t) => {
    const hub = await startTelling(t, {});
    const { client, storage, told } = startClient(t, hub, { token: minting() });
    await reaches(client, "connected");
    hub.notify({ id: "x", scope: "session", reason: "expired", sid: "s1" });
    await until("a second connection", () => hub.auths.length === 2);
    await reaches(client, "connected");
    assert.deepEqual(hub.auths, [{ token: "token-1" }, { token: "token-2" }]);
    assert.deepEqual(told, []);
    assert.equal(storage.getItem("draft"), "secret");
  });

  for (const [name, token] of /** @type {const} */ ([
    ["there is none newer", () => "token-1"],
    ["it is no function's", "token-1"],
  ]))
    test(`and ended ends the session when ${name}`, async (t) => {
      const hub = await startTelling(t, {});
      const { client, storage, told } = startClient(t, hub, { token });
      await reaches(client, "connected");
      const notification = { id: "x", scope: "session", reason: "expired", sid: "s1" };
      hub.notify(notification);
      await reaches(client, "ended");
      assert.deepEqual(storage.entries(), { theme: "dark" });
      assert.deepEqual(told, [notification]);
    });

  for (const [when, isUnderWay] of /** @type {const} */ ([
    ["was told while the token was asked for", false],
    ["was under way then", true],
  ]))
    test(`is not sent after a logout that ${when}`, async (t) => {
      const answers = recorder(() => new Promise(() => undefined));
      const hub = await startTelling(t, TOLD, answers);
      /** @type {(token: string) => void} */
      let give = () => undefined;
      let count = 0;
      const asked = recorder(() => {
        count += 1;
        return count === 1 ? "token-1" : new Promise((resolve) => (give = resolve));
      });
      const { client } = startClient(t, hub, { token: /** @type {any} */ (asked) });
      await until("the question for a token", () => asked.calls.length === 2);
      if (isUnderWay) void client.logout().catch(() => undefined);
      else hub.notify(LOGOUT);
      await until("the end", () => isUnderWay || client.state === "ended");
      give("token-2");
      await quietWhile();
      const names = hub.events.map(({ name }) => name);
      assert.deepEqual(names, isUnderWay ? ["logout"] : []);
      assert.equal(hub.sockets.length, 1);
    });
});

describe("a notification", { concurrency: true }, () => {
  test("is cleared for, acked and told, in this order, and ends all trying", async (t) => {
    const hub = await startHub(t);
    const acked = recorder();
    /** @type {any[]} */
    const order = [];
    const { client, storage } = startClient(t, hub, {
      clear: () => order.push(["hook", storage.entries()]),
      onLogout: (notification) => order.push(["told", notification, storage.entries()]),
    });
    client.on("state", (state) => order.push(["state", state]));
    client.on("logout", (notification) => order.push(["logout", notification]));
    await reaches(client, "connected");
    acked(await hub.notify(LOGOUT));
    hub.latest().disconnect(true);
    await quietWhile();
    assert.deepEqual(acked.calls, [{ cleared: true }]);
    assert.deepEqual(order, [
      ["state", "connected"],
      ["hook", { theme: "dark" }],
      ["state", "ended"],
      ["logout", LOGOUT],
      ["told", LOGOUT, { theme: "dark" }],
    ]);
    assert.equal(hub.sockets.length, 1);
  });

  test("said twice is acked twice and told once", async (t) => {
    const hub = await startHub(t);
    const { client, told } = startClient(t, hub);
    await reaches(client, "connected");
    const acks = await Promise.all([hub.notify(LOGOUT), hub.notify({ ...LOGOUT, id: "l2" })]);
    assert.deepEqual(acks, [{ cleared: true }, { cleared: true }]);
    assert.deepEqual(await hub.notify(LOGOUT), { cleared: true });
    assert.deepEqual(told, [LOGOUT]);
  });

  for (const [how, clear] of /** @type {[string, () => unknown][]} */ ([
    ["throws", () => assert.fail("expected: the hook of this test throws")],
    ["rejects", async () => assert.fail("expected: the hook of this test rejects")],
    ["never settles", () => new Promise(() => {})],
  ])) {
    test(`is acked as not wholly cleared when the app's hook ${how}`, async (t) => {
      const hub = await startHub(t);
      const { client, storage, told } = startClient(t, hub, { clear });
      await reaches(client, "connected");
      assert.deepEqual(await hub.notify(LOGOUT), { cleared: false, failed: ["hook"] });
      await until("the app to be told", () => told.length === 1);
      assert.deepEqual(storage.entries(), { theme: "dark" });
    });
  }

  test("clears the other storages when one of them throws, and says so", async (t) => {
    const hub = await startHub(t);
    const broken = new MemoryStorage({ a: "1" });
    broken.removeItem = () => assert.fail("expected: the storage of this test throws");
    const sound = new MemoryStorage({ a: "1" });
    const { client } = startClient(t, hub, { storages: [broken, sound] });
    await reaches(client, "connected");
    assert.deepEqual(await hub.notify(LOGOUT), { cleared: false, failed: ["storage"] });
    assert.deepEqual(sound.entries(), {});
  });

  test("without a body still clears", async (t) => {
    const hub = await startHub(t);
    const { client, storage, told } = startClient(t, hub);
    await reaches(client, "connected");
    assert.deepEqual(await hub.notify(null), { cleared: true });
    await until("the app to be told", () => told.length === 1);
    assert.deepEqual(storage.entries(), { theme: "dark" });
  });

  test("reaches all, though a listener and onLogout throw", async (t) => {
    const hub = await startHub(t);
    const onLogout = recorder(() => assert.fail("expected: onLogout of this test throws"));
    const { client } = startClient(t, hub, { onLogout });
    const logout = recorder();
    client.on("state", () => assert.fail("expected: the listener of this test throws"));
    client.on("logout", async () => assert.fail("expected: the listener of this test rejects"));
    client.on("logout", logout);
    await reaches(client, "connected");
    assert.deepEqual(await hub.notify(LOGOUT), { cleared: true });
    await until("onLogout", () => onLogout.calls.length === 1);
    assert.deepEqual(logout.calls, [LOGOUT]);
    assert.equal(client.state, "ended");
  });
});

describe("logout()", { concurrency: true }, () => {
  /** @param {Awaited<ReturnType<typeof startHub>>} hub @param {any} answer */
  function answerLogout(hub, answer) {
    const commands = recorder();
    hub.io.on("connection", (socket) =>
      socket.on("logout", (command, ack) => {
        commands(command);
        if (answer) ack(answer);
      }),
    );
    return commands.calls;
  }
  const DONE = { ok: true, id: "l9", scope: "all", sessions: [{ sid: "s1", state: "notified" }] };

  test("goes over the socket, and ends this tab though no notification comes", async (t) => {
    const hub = await startHub(t);
    const commands = answerLogout(hub, DONE);
    const { client, storage, told } = startClient(t, hub);
    await reaches(client, "connected");
    const { ok, ...answer } = DONE;
    assert.deepEqual(await client.logout({ reason: "policy", message: "Lost phone" }), answer);
    assert.deepEqual(storage.entries(), { theme: "dark" });
    assert.match(commands[0].idempotencyKey, /^.{16,}$/);
    const command = { scope: "all", reason: "policy", message: "Lost phone" };
    assert.deepEqual({ ...commands[0], idempotencyKey: 0 }, { ...command, idempotencyKey: 0 });
    await until("the app to be told", () => told.length === 1);
    assert.deepEqual(told, [{ ...command, id: "l9" }]);
    assert.deepEqual(hub.calls, []);
  });

  test("is told once when its notification comes too, which is still acked", async (t) => {
    const hub = await startHub(t);
    answerLogout(hub, DONE);
    const { client, told } = startClient(t, hub);
    await reaches(client, "connected");
    await client.logout();
    assert.deepEqual(await hub.notify({ ...LOGOUT, id: "l9" }), { cleared: true });
    await quietWhile();
    assert.equal(told.length, 1);
    assert.equal(hub.sockets.length, 1);
  });

  test("of the others leaves this session alone", async (t) => {
    const hub = await startHub(t);
    answerLogout(hub, { ...DONE, scope: "others" });
    const { client, storage, told } = startClient(t, hub);
    await reaches(client, "connected");
    await client.logout({ scope: "others" });
    assert.equal(storage.getItem("draft"), "secret");
    assert.deepEqual(told, []);
    assert.equal(client.state, "connected");
  });

  test("of one session ends this tab only when it is its own", async (t) => {
    const hub = await startHub(t);
    hub.answer = () => [200, { sid: "mine" }];
    answerLogout(hub, { ...DONE, scope: "session" });
    const { client, storage } = startClient(t, hub);
    await reaches(client, "connected");
    await client.logout({ scope: "session", sid: "another" });
    assert.equal(storage.getItem("draft"), "secret");
    await client.logout({ scope: "session", sid: "mine" });
    assert.deepEqual(storage.entries(), { theme: "dark" });
  });

  test("refused by the hub rejects with its code and clears nothing", async (t) => {
    const hub = await startHub(t);
    answerLogout(hub, { ok: false, error: { code: "unavailable", title: "The store is down" } });
    const { client, storage } = startClient(t, hub);
    await reaches(client, "connected");
    await assert.rejects(client.logout(), { code: "unavailable", message: "The store is down" });
    assert.equal(storage.getItem("draft"), "secret");
    assert.deepEqual(hub.calls, []);
  });

  test("whose token had just ended goes by HTTP with a newer one", async (t) => {
    const hub = await startHub(t);
    answerLogout(hub, { ok: false, error: { code: "token_expired", title: "The token expired" } });
    hub.answer = () => [200, { id: "l9", scope: "all" }];
    const tokens = ["token-1", "token-2"];
    const { client } = startClient(t, hub, { token: () => tokens.shift() });
    await reaches(client, "connected");
    assert.equal((await client.logout()).id, "l9");
    assert.equal(hub.calls[0].headers.authorization, "Bearer token-2");
    assert.equal(client.state, "ended");
  });

  test("that the socket leaves unanswered goes by HTTP with the same key", async (t) => {
    const hub = await startHub(t);
    const commands = answerLogout(hub, undefined);
    hub.answer = () => [200, { id: "l9", scope: "all", reason: "user", at: 5, sessions: [] }];
    const { client, told } = startClient(t, hub);
    await reaches(client, "connected");
    assert.equal((await client.logout({ message: "Bye" })).id, "l9");
    const [{ method, path, headers, body }] = hub.calls;
    assert.deepEqual([method, path], ["POST", "/logout"]);
    assert.equal(headers["idempotency-key"], commands[0].idempotencyKey);
    assert.equal(headers.authorization, "Bearer token-1");
    assert.deepEqual(body, { scope: "all", message: "Bye" });
    await until("the app to be told", () => told.length === 1);
    assert.deepEqual(told, [{ id: "l9", scope: "all", reason: "user", message: "Bye", at: 5 }]);
  });

  test("goes by HTTP at once when the connection breaks under it", async (t) => {
    const hub = await startHub(t);
    hub.io.on("connection", (socket) => socket.on("logout", () => socket.conn.close()));
    hub.answer = () => [200, { id: "l9", scope: "all" }];
    const { client } = startClient(t, hub);
    await reaches(client, "connected");
    assert.equal((await client.logout()).id, "l9");
    assert.equal(hub.calls.length, 1);
  });

  test("by HTTP puts back the kept entries that the browser cleared", async (t) => {
    const web = await startHttp(t);
    const { client, storage } = startClient(t, web);
    web.answer = () => {
      storage.clear();
      return [200, { id: "l9", scope: "all" }];
    };
    await client.logout();
    assert.deepEqual(storage.entries(), { theme: "dark" });
  });

  test("whose answer was lost succeeds when the hub says that just this has happened", async (t) => {
    const web = await startHttp(t);
    const problem = { ...REVOKED, id: "l9", scope: "all", reason: "user" };
    web.answer = () => [401, problem];
    const { client, storage, told } = startClient(t, web);
    assert.deepEqual(await client.logout(), { id: "l9", scope: "all", sessions: [] });
    await until("the app to be told", () => told.length === 1);
    assert.deepEqual(told, [{ id: "l9", scope: "all", reason: "user" }]);
    assert.deepEqual(storage.entries(), { theme: "dark" });
  });

  test("of all rejects when only this session had been ended", async (t) => {
    const web = await startHttp(t);
    web.answer = () => [401, { ...REVOKED, id: "l9", scope: "session" }];
    const { client } = startClient(t, web);
    await assert.rejects(client.logout(), { code: "token_revoked" });
    await reaches(client, "ended");
  });

  test("that does not reach the hub rejects as unavailable and clears nothing", async (t) => {
    const web = await startHttp(t);
    web.answer = () => [503, { code: "unavailable", title: "The store is down" }];
    const { client, storage } = startClient(t, web);
    await assert.rejects(client.logout(), { code: "unavailable" });
    web.server.close();
    web.server.closeAllConnections();
    await assert.rejects(client.logout(), { code: "unavailable" });
    assert.equal(storage.getItem("draft"), "secret");
  });
});

describe("losing a connection", { concurrency: true }, () => {
  test("that had been accepted is not yet a reason to poll", async (t) => {
    const hub = await startRaw(t, (socket, count) => {
      socket.send(OPEN);
      if (count === 2) return socket.terminate();
      socket.send('40{"sid":"x"}');
      if (count === 1) socket.send("1");
    });
    const { client } = startClient(t, hub);
    await until("the third connection", () => hub.count() === 3 && client.state === "connected");
    assert.deepEqual(hub.calls, []);
  });
});

describe("the rest of a client", { concurrency: true }, () => {
  test("sessions() gives the hub's list", async (t) => {
    const hub = await startHub(t);
    hub.answer = () => [200, { sessions: [{ sid: "s1", current: true }] }];
    const { client } = startClient(t, hub);
    assert.deepEqual(await client.sessions(), [{ sid: "s1", current: true }]);
    assert.deepEqual([hub.calls[0].method, hub.calls[0].path], ["GET", "/sessions"]);
    assert.equal(hub.calls[0].headers.authorization, "Bearer token-1");
  });

  test("receipt() asks what became of a logout, and waits as long as it is told", async (t) => {
    const hub = await startHub(t);
    const receipt = { id: "l/1", complete: true, sessions: [] };
    hub.answer = () => [200, receipt];
    const { client } = startClient(t, hub);
    assert.deepEqual(await client.receipt("l/1", 2), receipt);
    await client.receipt("l2");
    const paths = hub.calls.map(({ path }) => path);
    assert.deepEqual(paths, ["/logouts/l%2F1?wait=2", "/logouts/l2?wait=0"]);
  });

  test("receipt() is asked for with the last token once the session is over", async (t) => {
    const hub = await startHub(t);
    hub.answer = () => [200, { id: "l1", complete: true }];
    let count = 0;
    const { client } = startClient(t, hub, {
      token: () => {
        count += 1;
        return `token-${count}`;
      },
    });
    await reaches(client, "connected");
    await hub.notify(LOGOUT);
    await client.receipt("l1");
    assert.equal(hub.calls[0].headers.authorization, "Bearer token-1");
    assert.equal(count, 1);
  });

  test("session is the session's id, as the hub's answer to CONNECT tells it", async (t) => {
    const accepted = '40{"sid":"a socket","session":"s1","user":"ada","expires_in":600}';
    const hub = await startRaw(t, (socket) => {
      socket.send(OPEN);
      socket.send(accepted);
    });
    const { client } = startClient(t, hub);
    assert.equal(client.session, undefined);
    await reaches(client, "connected");
    assert.equal(client.session, "s1");
  });

  test("end() ends the session of that id, and rejects with the hub's code", async (t) => {
    const hub = await startHub(t);
    const { client, storage } = startClient(t, hub);
    await assert.rejects(client.end("a/b c?"), { code: "not_found" });
    const { method, path, body } = hub.calls.at(-1) ?? {};
    assert.deepEqual([method, path], ["POST", "/logout"]);
    assert.deepEqual(body, { scope: "session", sid: "a/b c?" });
    assert.equal(storage.getItem("draft"), "secret");
  });

  test("an expired token is replaced and the call repeated", async (t) => {
    const hub = await startHub(t);
    hub.answer = ({ headers }) =>
      headers.authorization === "Bearer old"
        ? [401, { code: "token_expired", title: "Too old" }]
        : [200, { sessions: [] }];
    let asked = 0;
    const { client, told } = startClient(t, hub, {
      token: () => {
        asked += 1;
        return asked < 3 ? "old" : "new";
      },
    });
    await reaches(client, "connected");
    assert.deepEqual(await client.sessions(), []);
    assert.equal(hub.calls.length, 2);
    assert.deepEqual(told, []);
  });

  test("a token that a call was repeated with is itself replaced when it ends", async (t) => {
    const hub = await startHub(t);
    const ended = new Set(["one"]);
    hub.answer = ({ headers }) =>
      ended.has(String(headers.authorization).slice("Bearer ".length))
        ? [401, { code: "token_expired", title: "Too old" }]
        : [200, { sessions: [] }];
    const tokens = ["one", "one", "two", "three"];
    const { client, told } = startClient(t, hub, { token: () => tokens.shift() });
    await reaches(client, "connected");
    assert.deepEqual(await client.sessions(), []);
    ended.add("two");
    assert.deepEqual(await client.sessions(), []);
    assert.deepEqual(told, []);
  });

  test("on() gives back a way to stop listening", async (t) => {
    const hub = await startHub(t);
    const { client } = startClient(t, hub);
    const heard = recorder();
    const off = client.on("state", heard);
    await reaches(client, "connected");
    off();
    hub.latest().conn.close();
    await until("a second connection", () => hub.sockets.length === 2);
    assert.deepEqual(heard.calls, ["connected"]);
  });

  test("close() lets go of the socket, and nothing happens afterwards", async (t) => {
    const hub = await startHub(t);
    const { client, storage, told } = startClient(t, hub);
    const states = recorder();
    client.on("state", states);
    await reaches(client, "connected");
    const left = new Promise((resolve) => hub.latest().on("disconnect", resolve));
    client.close();
    client.close();
    await soon("the server to see it leave", left);
    await quietWhile();
    assert.deepEqual(states.calls, ["connected", "closed"]);
    assert.equal(hub.sockets.length, 1);
    assert.equal(storage.getItem("draft"), "secret");
    assert.deepEqual(told, []);
    await assert.rejects(client.logout(), { code: "closed" });
    await assert.rejects(client.sessions(), { code: "closed" });
  });

  test("a logout() begun just before close() still reaches the hub and clears", async (t) => {
    const hub = await startHub(t);
    hub.answer = () => [200, { id: "l9", scope: "all" }];
    const { client, storage, told } = startClient(t, hub);
    await reaches(client, "connected");
    const ended = client.logout();
    client.close();
    await ended;
    assert.equal(hub.calls[0].path, "/logout");
    assert.deepEqual(storage.entries(), { theme: "dark" });
    assert.deepEqual(told, []);
  });

  test("close() while a lost connection waits for its next try stops that try", async (t) => {
    const hub = await startRaw(t, (socket) => socket.terminate());
    const { client } = startClient(t, hub);
    await until("a first try", () => hub.count() >= 1);
    client.close();
    const seen = hub.count();
    await quietWhile();
    assert.ok(hub.count() <= seen + 1);
    assert.deepEqual(hub.calls, []);
  });

  test("a url with a path is refused at once", () => {
    for (const url of ["http://hub.test/path", "ftp://hub.test", "not a url"])
      assert.throws(() => createLogoutHub({ url }), TypeError);
  });
});
