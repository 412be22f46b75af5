/** What only a page has: storages, cookies, a location, wake-ups; made up here, before the import. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, test } from "node:test";
import {
  LOGOUT,
  quietWhile,
  REVOKED,
  reaches,
  recorder,
  startHttp,
  startHub,
  until,
} from "./support.js";
import { closePage, openPage, pretend } from "./support-page.js";

/** Reading any of these on import would throw. */
const PAGE = ["window", "localStorage", "sessionStorage", "location"];

for (const name of PAGE) {
  const get = () => assert.fail(`${name} was read on import`);
  Object.defineProperty(globalThis, name, { get, configurable: true });
}
// Its own script tag is looked for, and nothing else.
pretend({ document: Object.freeze({ querySelectorAll: () => [] }) });
const { createLogoutHub } = await import("./client.js");

/** @type {ReturnType<typeof openPage>} */
let page;

beforeEach(() => {
  page = openPage();
});
afterEach(closePage);

const wakeUps = /** @type {const} */ ([
  ["online", () => page.say("online")],
  ["pageshow", () => page.say("pageshow")],
  ["becoming visible", () => page.setVisibility("visible")],
  ["being resumed", () => page.resume()],
]);

test("the hub is by default the page's own origin", async (t) => {
  const hub = await startHub(t);
  openPage(hub.url);
  const client = createLogoutHub({ token: "t" });
  t.after(() => client.close());
  await reaches(client, "connected");
});

test("the page goes to loginUrl once onLogout has settled, and not before", async (t) => {
  const hub = await startHub(t);
  /** @type {(value?: unknown) => void} */
  let settle = () => assert.fail("onLogout was not called");
  const onLogout = recorder(() => new Promise((resolve) => (settle = resolve)));
  const client = createLogoutHub({ url: hub.url, token: "t", onLogout, loginUrl: "/login" });
  t.after(() => client.close());
  await reaches(client, "connected");
  await hub.notify(LOGOUT);
  await until("onLogout", () => onLogout.calls.length === 1);
  await quietWhile();
  assert.deepEqual(page.visited, []);
  settle();
  await until("the page to leave", () => page.visited.length === 1);
  assert.deepEqual(page.visited, ["/login"]);
});

for (const [name, wake] of wakeUps) {
  test(`${name} makes a connected client ask whether its session lives`, async (t) => {
    const hub = await startHub(t);
    hub.answer = () => [401, { ...REVOKED, id: "l1", scope: "all", reason: "admin" }];
    const onLogout = recorder();
    const client = createLogoutHub({ url: hub.url, token: "t", onLogout });
    t.after(() => client.close());
    await reaches(client, "connected");
    wake();
    await reaches(client, "ended");
    assert.deepEqual(onLogout.calls, [{ id: "l1", scope: "all", reason: "admin" }]);
  });
}

test("a page that has just loaded asks nothing more", async (t) => {
  const hub = await startHub(t);
  const client = createLogoutHub({ url: hub.url, token: "t" });
  t.after(() => client.close());
  await reaches(client, "connected");
  page.say("pageshow", false);
  await quietWhile();
  assert.deepEqual(hub.calls, []);
});

test("the wake-ups at once ask once", async (t) => {
  const hub = await startHub(t);
  hub.answer = () => [200, { sid: "s1" }];
  const client = createLogoutHub({ url: hub.url, token: "t" });
  t.after(() => client.close());
  await reaches(client, "connected");
  for (const [, wake] of wakeUps) wake();
  await until("the question", () => hub.calls.length > 0);
  await quietWhile();
  assert.equal(hub.calls.length, 1);
  assert.equal(client.state, "connected");
});

test("a wake-up makes a polling client try its socket at once", async (t) => {
  const web = await startHttp(t);
  web.answer = () => [200, { sid: "s1" }];
  const client = createLogoutHub({ url: web.url, token: "t" });
  t.after(() => client.close());
  await reaches(client, "polling");
  web.server.close();
  web.server.closeAllConnections();
  const hub = await startHub(t, {}, web.port);
  hub.answer = web.answer;
  // The next try of its own would come later than the longest wait of this test.
  page.say("online");
  await reaches(client, "connected");
});

test("after close() nothing of the page is listened to, and a wake-up does nothing", async (t) => {
  const hub = await startHub(t);
  const client = createLogoutHub({ url: hub.url, token: "t" });
  await reaches(client, "connected");
  client.close();
  for (const [target, event] of /** @type {const} */ ([
    [page.events, "online"],
    [page.events, "pageshow"],
    [page.events, "pagehide"],
    [page.document, "visibilitychange"],
    [page.document, "resume"],
  ]))
    assert.deepEqual(getEventListeners(target, event), []);
  for (const [, wake] of wakeUps) wake();
  await quietWhile();
  assert.deepEqual(hub.calls, []);
  assert.equal(hub.sockets.length, 1);
});

for (const [token, mode] of [
  [undefined, "include"],
  ["t", "same-origin"],
]) {
  test(`HTTP calls ${token ? "with a token" : "without one"} use credentials ${mode}`, async (t) => {
    const hub = await startHub(t);
    hub.answer = () => [200, { sessions: [] }];
    const { fetch } = globalThis;
    const requests = recorder();
    /** @param {any} input @param {any} init */
    const spy = (input, init) => {
      requests(new Request(input, init));
      return fetch(input, init);
    };
    pretend({ fetch: spy });
    t.after(() => pretend({ fetch }));
    const client = createLogoutHub({ url: hub.url, token });
    t.after(() => client.close());
    await client.sessions();
    assert.equal(requests.calls[0].credentials, mode);
    assert.equal(hub.calls[0].headers.authorization, token && `Bearer ${token}`);
  });
}

test("an option that does not exist is said, and no other", async (t) => {
  const types = await readFile(new URL("./session.js", import.meta.url), "utf8");
  const typedef = types.slice(0, types.indexOf("@typedef {{state"));
  const known = [...typedef.matchAll(/@property \{.*\} \[(\w+)\]/g)].map(([, name]) => name);
  assert.ok(known.length >= 10);
  const warn = t.mock.method(console, "warn", () => {});
  const hub = await startHub(t);
  const wrong = { logInUrl: "/login", onlogout() {} };
  const options = { ...Object.fromEntries(known.map((name) => [name, undefined])), ...wrong };
  const client = createLogoutHub({ ...options, url: hub.url, token: "t" });
  t.after(() => client.close());
  await reaches(client, "connected");
  assert.deepEqual(
    warn.mock.calls.map(({ arguments: [text] }) => text),
    Object.keys(wrong).map((name) => `logout-hub: no option: ${name}`),
  );
});
