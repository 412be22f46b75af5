import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createLogoutHub } from "./client.js";
import {
  MemoryStorage,
  quietWhile,
  REVOKED,
  reaches,
  recorder,
  startHttp,
  startHub,
  until,
} from "./support.js";
import { TIMING } from "./tasks.js";

/** Several polls fit into the time for which nothing may come. */
TIMING.poll = 500;

const SESSION = { sid: "s1", device: "laptop" };

/** A client of a server that has no WebSocket.
 * @param {import("node:test").TestContext} t @param {import("./session.js").Options} [options] */
async function startPolling(t, options) {
  const web = await startHttp(t);
  web.answer = () => [200, SESSION];
  const storage = new MemoryStorage({ draft: "secret", theme: "dark" });
  const onLogout = recorder();
  const error = recorder();
  const client = createLogoutHub({
    url: web.url,
    token: "token-1",
    storages: [storage],
    keep: ["theme"],
    onLogout,
    ...options,
  });
  client.on("error", error);
  t.after(() => client.close());
  return { web, client, storage, told: onLogout.calls, errors: error.calls };
}

describe("after an outage", () => {
  test("the socket is tried as soon as a poll gets through", async (t) => {
    let up = false;
    const hub = await startHub(t, { allowRequest: (_, decide) => decide(null, up) });
    hub.answer = () => (up ? [200, SESSION] : [503, { code: "unavailable", title: "Later" }]);
    const client = createLogoutHub({ url: hub.url, token: "token-1" });
    t.after(() => client.close());
    await until("a vain poll", () => hub.calls.length >= 2);
    up = true;
    await reaches(client, "connected");
  });
});

describe("where WebSocket does not get through", { concurrency: true }, () => {
  test("the session is polled with the token", async (t) => {
    const { web, client } = await startPolling(t);
    web.answer = () => [200, SESSION];
    await reaches(client, "polling");
    await until("a second poll", () => web.calls.length >= 2);
    await quietWhile();
    assert.equal(client.state, "polling");
    for (const { method, path, headers } of web.calls)
      assert.deepEqual(
        [method, path, headers.authorization],
        ["GET", "/session", "Bearer token-1"],
      );
  });

  test("a 401 with a logout clears, tells the app why, and ends the polling", async (t) => {
    const { web, client, storage, told } = await startPolling(t);
    await reaches(client, "polling");
    const why = { id: "l1", scope: "all", reason: "admin", message: "Bye", at: 5 };
    web.answer = () => [401, { ...REVOKED, detail: "Ended", ...why }];
    await reaches(client, "ended");
    const polls = web.calls.length;
    await quietWhile();
    assert.deepEqual(told, [{ ...why, sid: "s1" }]);
    assert.deepEqual(storage.entries(), { theme: "dark" });
    assert.equal(web.calls.length, polls);
  });

  test("a poll that tells of the user's newer session has it continue as that one", async (t) => {
    let sid = "s1";
    const { web, client, told } = await startPolling(t);
    web.answer = () => [200, { sid, user: "ada" }];
    const states = recorder();
    await reaches(client, "polling");
    client.on("state", states);
    sid = "s2";
    await until("the newer session", () => client.session === "s2");
    await quietWhile();
    assert.deepEqual([states.calls, told], [[], []]);
    web.answer = () => [401, { ...REVOKED, id: "l1", scope: "session", sid: "s2" }];
    await reaches(client, "ended");
    assert.equal(told[0].sid, "s2");
  });

  test("an expired token ends with the reason expired", async (t) => {
    const { web, client, told } = await startPolling(t);
    web.answer = () => [401, { code: "token_expired", title: "Too old" }];
    await reaches(client, "ended");
    assert.deepEqual(told, [{ reason: "expired" }]);
  });

  test("an expired cookie ends the session", async (t) => {
    const { web, client, told } = await startPolling(t, { token: undefined });
    web.answer = () => [401, { code: "token_expired", title: "Too old" }];
    await reaches(client, "ended");
    assert.equal(web.calls.length, 1);
    assert.deepEqual(told, [{ reason: "expired" }]);
  });

  test("an expired token is replaced once by a fresh one", async (t) => {
    let expired = false;
    const token = () => (expired ? "new" : "old");
    const { web, client, told } = await startPolling(t, { token });
    web.answer = ({ headers }) => {
      expired = true;
      return headers.authorization === "Bearer old"
        ? [401, { code: "token_expired", title: "Too old" }]
        : [200, SESSION];
    };
    await reaches(client, "polling");
    assert.deepEqual(told, []);
  });

  test("a fresh token that ended during an outage is not sent again", async (t) => {
    let given = "t1";
    const { web, client, storage, told } = await startPolling(t, { token: () => given });
    web.answer = ({ headers }) => {
      const isOutage = headers.authorization === "Bearer t2" && given === "t2";
      if (headers.authorization === "Bearer t1") given = "t2";
      if (isOutage) given = "t3";
      if (isOutage) return [503, { code: "unavailable", title: "Later" }];
      if (headers.authorization === "Bearer t3") return [200, SESSION];
      return [401, { code: "token_expired", title: "Too old" }];
    };
    await reaches(client, "polling");
    assert.deepEqual(told, []);
    assert.equal(storage.getItem("draft"), "secret");
  });

  test("an invalid token stops with an error and clears nothing", async (t) => {
    const { web, client, storage, told, errors } = await startPolling(t);
    web.answer = () => [401, { code: "token_invalid", title: "Not ours" }];
    await until("the error", () => errors.length > 0);
    await quietWhile();
    assert.deepEqual(errors, [{ code: "token_invalid", title: "Not ours", detail: undefined }]);
    assert.equal(client.state, "disconnected");
    assert.equal(web.calls.length, 1);
    assert.equal(storage.getItem("draft"), "secret");
    assert.deepEqual(told, []);
  });

  for (const [what, answer] of /** @type {[string, any][]} */ ([
    ["a token that is not valid yet", [401, { code: "token_not_yet_valid", retryable: true }]],
    ["a hub that is unavailable", [503, { code: "unavailable", title: "Later" }]],
    ["a 401 that is not the hub's", [401, "who are you?"]],
    ["a 200 that is not the hub's", [200, "please log in to this Wi-Fi"]],
    ["a forbidding proxy", [403, { code: "token_revoked" }]],
  ])) {
    test(`${what} is asked again until it answers well`, async (t) => {
      const { web, client, storage, errors } = await startPolling(t);
      web.answer = () => answer;
      await until("a poll", () => web.calls.length === 1);
      await quietWhile();
      assert.notEqual(client.state, "polling");
      web.answer = () => [200, SESSION];
      await reaches(client, "polling");
      assert.equal(storage.getItem("draft"), "secret");
      assert.deepEqual(errors, []);
    });
  }

  test("close() ends the polling", async (t) => {
    const { web, client } = await startPolling(t);
    await reaches(client, "polling");
    client.close();
    const polls = web.calls.length;
    await quietWhile();
    assert.equal(web.calls.length, polls);
    assert.equal(client.state, "closed");
  });
});
