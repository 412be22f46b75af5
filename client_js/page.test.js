/** What only a page has: storages, cookies, a location, wake-ups; made up here, before the import. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import {
  LOGOUT,
  MemoryStorage,
  quietWhile,
  REVOKED,
  reaches,
  recorder,
  startHttp,
  startHub,
  until,
} from "./support.js";

/** Reading any of these on import would throw. */
const PAGE = ["window", "document", "localStorage", "sessionStorage", "location"];

/** @param {Record<string, unknown>} values */
function pretend(values) {
  for (const [name, value] of Object.entries(values))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

for (const name of PAGE) {
  const get = () => assert.fail(`${name} was read on import`);
  Object.defineProperty(globalThis, name, { get, configurable: true });
}
// Its own script tag is looked for, and nothing else.
pretend({ document: Object.freeze({ querySelectorAll: () => [] }) });
const { createLogoutHub } = await import("./client.js");
for (const name of PAGE) Reflect.deleteProperty(globalThis, name);

/** A jar that keeps what a browser would show of it: a name's cookie goes at its own path only. */
class FakeDocument extends EventTarget {
  visibilityState = "hidden";
  /** @type {Map<string, string>} */
  jar = new Map();
  get cookie() {
    return [...this.jar.keys()].map((name) => `${name}=1`).join("; ");
  }
  set cookie(text) {
    const [pair, ...attributes] = text.split("; ");
    const name = pair.split("=")[0];
    const path = attributes.find((attribute) => attribute.startsWith("path="))?.slice(5);
    if (attributes.includes("max-age=0") && path === this.jar.get(name)) this.jar.delete(name);
  }
}

/** @type {FakeDocument} */
let document;
/** @type {EventTarget} */
let events;

beforeEach(() => {
  document = new FakeDocument();
  events = new EventTarget();
  pretend({
    document,
    location: { origin: "http://unset.test", protocol: "http:", pathname: "/app/page" },
    addEventListener: events.addEventListener.bind(events),
    removeEventListener: events.removeEventListener.bind(events),
  });
});
afterEach(() => {
  for (const name of [...PAGE, "addEventListener", "removeEventListener"])
    Reflect.deleteProperty(globalThis, name);
});

const wakeUps = [
  ["online", () => events.dispatchEvent(new Event("online"))],
  ["pageshow", () => events.dispatchEvent(new Event("pageshow"))],
  [
    "becoming visible",
    () => {
      document.visibilityState = "visible";
      document.dispatchEvent(new Event("visibilitychange"));
    },
  ],
];

test("the page's own storages and readable cookies are cleared, but those kept", async (t) => {
  const hub = await startHub(t);
  const localStorage = new MemoryStorage({ draft: "1", theme: "dark" });
  const sessionStorage = new MemoryStorage({ step: "2" });
  pretend({ localStorage, sessionStorage });
  document.jar = new Map([
    ["cart", "/"],
    ["page", "/app/page"],
    ["theme", "/"],
  ]);
  const client = createLogoutHub({ url: hub.url, token: "t", keep: ["theme"] });
  t.after(() => client.close());
  await reaches(client, "connected");
  assert.deepEqual(await hub.notify(LOGOUT), { cleared: true });
  assert.deepEqual(localStorage.entries(), { theme: "dark" });
  assert.deepEqual(sessionStorage.entries(), {});
  assert.deepEqual([...document.jar.keys()], ["theme"]);
});

test("a storage that the browser forbids does not stop the client", async (t) => {
  const hub = await startHub(t);
  const sessionStorage = new MemoryStorage({ step: "2" });
  const get = () => assert.fail("expected: access is denied");
  Object.defineProperty(globalThis, "localStorage", { get, configurable: true });
  pretend({ sessionStorage });
  const client = createLogoutHub({ url: hub.url, token: "t" });
  t.after(() => client.close());
  await reaches(client, "connected");
  assert.deepEqual(await hub.notify(LOGOUT), { cleared: true });
  assert.deepEqual(sessionStorage.entries(), {});
});

test("the hub is by default the page's own origin", async (t) => {
  const hub = await startHub(t);
  pretend({ location: { origin: hub.url, protocol: "http:", pathname: "/" } });
  const client = createLogoutHub({ token: "t" });
  t.after(() => client.close());
  await reaches(client, "connected");
});

test("the page goes to loginUrl once onLogout has settled, and not before", async (t) => {
  const hub = await startHub(t);
  const replace = recorder();
  pretend({ location: { ...location, replace } });
  /** @type {(value?: unknown) => void} */
  let settle = () => assert.fail("onLogout was not called");
  const onLogout = recorder(() => new Promise((resolve) => (settle = resolve)));
  const client = createLogoutHub({ url: hub.url, token: "t", onLogout, loginUrl: "/login" });
  t.after(() => client.close());
  await reaches(client, "connected");
  await hub.notify(LOGOUT);
  await until("onLogout", () => onLogout.calls.length === 1);
  await quietWhile();
  assert.deepEqual(replace.calls, []);
  settle();
  await until("the page to leave", () => replace.calls.length === 1);
  assert.deepEqual(replace.calls, ["/login"]);
});

for (const [name, wake] of wakeUps) {
  test(`${name} makes a connected client ask whether its session lives`, async (t) => {
    const hub = await startHub(t);
    hub.answer = () => [401, { ...REVOKED, id: "l1", scope: "all", reason: "admin" }];
    const onLogout = recorder();
    const client = createLogoutHub({ url: hub.url, token: "t", onLogout });
    t.after(() => client.close());
    await reaches(client, "connected");
    /** @type {() => void} */ (wake)();
    await reaches(client, "ended");
    assert.deepEqual(onLogout.calls, [{ id: "l1", scope: "all", reason: "admin" }]);
  });
}

test("three wake-ups at once ask once", async (t) => {
  const hub = await startHub(t);
  hub.answer = () => [200, { sid: "s1" }];
  const client = createLogoutHub({ url: hub.url, token: "t" });
  t.after(() => client.close());
  await reaches(client, "connected");
  for (const [, wake] of wakeUps) /** @type {() => void} */ (wake)();
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
  events.dispatchEvent(new Event("online"));
  await reaches(client, "connected");
});

test("after close() nothing of the page is listened to, and a wake-up does nothing", async (t) => {
  const hub = await startHub(t);
  const client = createLogoutHub({ url: hub.url, token: "t" });
  await reaches(client, "connected");
  client.close();
  for (const [target, event] of /** @type {const} */ ([
    [events, "online"],
    [events, "pageshow"],
    [document, "visibilitychange"],
  ]))
    assert.deepEqual(getEventListeners(target, event), []);
  for (const [, wake] of wakeUps) /** @type {() => void} */ (wake)();
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
    const inits = recorder();
    /** @param {any} input @param {any} init */
    const spy = (input, init) => {
      inits(init);
      return fetch(input, init);
    };
    pretend({ fetch: spy });
    t.after(() => pretend({ fetch }));
    const client = createLogoutHub({ url: hub.url, token });
    t.after(() => client.close());
    await client.sessions();
    assert.equal(inits.calls[0].credentials, mode);
    assert.equal(hub.calls[0].headers.authorization, token && `Bearer ${token}`);
  });
}
