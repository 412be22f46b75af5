/** The core without plug-ins, and which hooks of plug-ins it calls. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { createCore } from "./core.js";
import {
  LOGOUT,
  MemoryStorage,
  quietWhile,
  reaches,
  recorder,
  startHttp,
  startHub,
  startTelling,
  until,
} from "./support.js";
import { closePage, openPage, pretend } from "./support-page.js";

/** @typedef {import("./core.js").Hooks} Hooks */

/** @type {ReturnType<typeof openPage>} */
let page;

beforeEach(() => {
  page = openPage();
  page.localStorage.setItem("draft", "secret");
  page.sessionStorage.setItem("draft", "secret");
});
afterEach(closePage);

const HOOKS = ["connecting", "accepted", "logoutStarted", "ended", "steps", "closed"];

/** A client with plug-ins that record each call of their hooks, under the plug-in's name.
 * @param {import("node:test").TestContext} t @param {string} url @param {Record<string, Hooks>} made */
function startWith(t, url, made) {
  /** @type {string[]} */
  const called = [];
  /** @type {import("./core.js").Core[]} */
  const cores = [];
  const plugins = Object.entries(made).map(([name, hooks]) => {
    /** @type {Record<string, (...args: any[]) => any>} */
    const recording = { ...hooks };
    for (const hook of HOOKS)
      recording[hook] = (...args) => {
        called.push(`${name} ${hook}`);
        const result = /** @type {any} */ (hooks)[hook]?.(...args);
        return result ?? (hook === "steps" ? [] : undefined);
      };
    return (/** @type {import("./core.js").Core} */ core) => {
      cores.push(core);
      return recording;
    };
  });
  const client = createCore({ url, token: "t" }, plugins);
  t.after(() => client.close());
  return { client, called, core: cores[0] };
}

test("the core alone clears the web storages, tells the hub, then the app", async (t) => {
  const hub = await startHub(t);
  pretend({ indexedDB: { databases: () => assert.fail("this is a plug-in's") } });
  const onLogout = recorder(() => assert.equal(page.localStorage.getItem("draft"), null));
  const client = createCore({ url: hub.url, token: "t", onLogout });
  t.after(() => client.close());
  await reaches(client, "connected");
  assert.deepEqual(await hub.notify(LOGOUT), { cleared: true });
  await until("the app to be told", () => onLogout.calls.length > 0);
  assert.deepEqual(onLogout.calls, [LOGOUT]);
  assert.deepEqual(page.sessionStorage.entries(), {});
});

test("the core alone clears nothing when a logout cannot reach the hub", async (t) => {
  const web = await startHttp(t);
  const client = createCore({ url: web.url, token: "t" });
  t.after(() => client.close());
  web.server.close();
  web.server.closeAllConnections();
  await assert.rejects(client.logout(), { code: "unavailable" });
  assert.equal(page.localStorage.getItem("draft"), "secret");
  assert.notEqual(client.state, "ended");
});

test("the hooks of plug-ins are called in the order of the session's life", async (t) => {
  const hub = await startTelling(t, { session: "s1", user: "ada" }, () => ({ ok: true }));
  const { client, called } = startWith(t, hub.url, { a: {}, b: {} });
  await reaches(client, "connected");
  await client.logout();
  await reaches(client, "ended");
  client.close();
  assert.deepEqual(
    called,
    HOOKS.flatMap((hook) => [`a ${hook}`, `b ${hook}`]),
  );
});

test("connecting waits while a plug-in asks for that, until it wakes the client", async (t) => {
  const hub = await startHub(t);
  let waits = true;
  const { client, core } = startWith(t, hub.url, { a: { connecting: async () => waits } });
  await quietWhile();
  assert.equal(hub.sockets.length, 0);
  waits = false;
  core.wake();
  await reaches(client, "connected");
});

test("what a plug-in adds to be cleared is cleared, and named when it fails", async (t) => {
  const hub = await startHub(t);
  const fail = () => assert.fail("expected: it cannot be cleared");
  const { client } = startWith(t, hub.url, { a: { steps: () => [["attic", fail]] } });
  await reaches(client, "connected");
  assert.deepEqual(await hub.notify(LOGOUT), { cleared: false, failed: ["attic"] });
});

test("a plug-in that fails stops neither the clearing nor the other plug-ins", async (t) => {
  const hub = await startHub(t);
  const fail = () => assert.fail("expected: a plug-in's own mistake");
  const broken = { connecting: fail, accepted: fail, isReplaced: fail, ended: fail, steps: fail };
  const { client, called } = startWith(t, hub.url, { a: broken, b: {} });
  await reaches(client, "connected");
  assert.deepEqual(await hub.notify(LOGOUT), { cleared: false, failed: ["part"] });
  await reaches(client, "ended");
  assert.equal(page.localStorage.getItem("draft"), null);
  assert.deepEqual(
    called.filter((call) => call.startsWith("b")),
    ["b connecting", "b accepted", "b ended", "b steps"],
  );
});

test("what tabs share is left alone when a plug-in knows of a newer login", async (t) => {
  const hub = await startHub(t);
  const { client } = startWith(t, hub.url, { a: {}, b: { isReplaced: async () => true } });
  await reaches(client, "connected");
  await hub.notify(LOGOUT);
  assert.equal(page.localStorage.getItem("draft"), "secret");
  assert.deepEqual(page.sessionStorage.entries(), {});
});

test("a page's own storages are cleared whoever has what tabs share", async (t) => {
  const hub = await startHub(t);
  const storage = new MemoryStorage({ draft: "secret" });
  const replaced = () => ({ isReplaced: () => true });
  const client = createCore({ url: hub.url, token: "t", storages: [storage] }, [replaced]);
  t.after(() => client.close());
  await reaches(client, "connected");
  await hub.notify(LOGOUT);
  assert.deepEqual(storage.entries(), {});
});
