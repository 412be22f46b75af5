/** The core without its parts, and what parts are told. */
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

/** @typedef {import("./core.js").Part} Part */

/** @type {ReturnType<typeof openPage>} */
let page;

beforeEach(() => {
  page = openPage();
  page.localStorage.setItem("draft", "secret");
  page.sessionStorage.setItem("draft", "secret");
});
afterEach(closePage);

/** A client whose parts note what they are told, each under its name, and answer as they are made.
 * @param {import("node:test").TestContext} t @param {string} url @param {Record<string, Part>} made */
function startWith(t, url, made) {
  /** @type {string[]} */
  const told = [];
  const turns = /** @type {const} */ (["holds", "accepted", "left", "ended", "steps", "closed"]);
  const parts = Object.entries(made).map(([name, part]) => {
    /** @type {Record<string, (...args: any[]) => any>} */
    const noting = { ...part };
    for (const turn of turns)
      noting[turn] = (...args) => {
        told.push(`${name} ${turn}`);
        const answer = /** @type {any} */ (part)[turn]?.(...args);
        return answer ?? (turn === "steps" ? [] : undefined);
      };
    return noting;
  });
  /** @type {import("./core.js").Core[]} */
  const cores = [];
  const uses = parts.map((part) => (/** @type {import("./core.js").Core} */ core) => {
    cores.push(core);
    return part;
  });
  const client = createCore({ url, token: "t" }, uses);
  t.after(() => client.close());
  return { client, told, core: cores[0] };
}

test("the core alone clears the web storages, tells the hub, then the app", async (t) => {
  const hub = await startHub(t);
  pretend({ indexedDB: { databases: () => assert.fail("this is a part's") } });
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

test("parts are told of the session's turns, in their order", async (t) => {
  const hub = await startTelling(t, { session: "s1", user: "ada" }, () => ({ ok: true }));
  const { client, told } = startWith(t, hub.url, { a: {}, b: {} });
  await reaches(client, "connected");
  await client.logout();
  await reaches(client, "ended");
  client.close();
  const turns = ["holds", "accepted", "left", "ended", "steps", "closed"];
  assert.deepEqual(
    told,
    turns.flatMap((turn) => [`a ${turn}`, `b ${turn}`]),
  );
});

test("connecting waits while a part holds it, until the part wakes the client", async (t) => {
  const hub = await startHub(t);
  let holding = true;
  const { client, core } = startWith(t, hub.url, { a: { holds: async () => holding } });
  await quietWhile();
  assert.equal(hub.sockets.length, 0);
  holding = false;
  core.wake();
  await reaches(client, "connected");
});

test("what a part adds to be cleared is cleared, and named when it fails", async (t) => {
  const hub = await startHub(t);
  const fail = () => assert.fail("expected: it cannot be cleared");
  const { client } = startWith(t, hub.url, { a: { steps: () => [["attic", fail]] } });
  await reaches(client, "connected");
  assert.deepEqual(await hub.notify(LOGOUT), { cleared: false, failed: ["attic"] });
});

test("a part that fails stops neither the clearing nor the other parts", async (t) => {
  const hub = await startHub(t);
  const fail = () => assert.fail("expected: a part's own mistake");
  const broken = { holds: fail, accepted: fail, isTaken: fail, ended: fail, steps: fail };
  const { client, told } = startWith(t, hub.url, { a: broken, b: {} });
  await reaches(client, "connected");
  assert.deepEqual(await hub.notify(LOGOUT), { cleared: false, failed: ["part"] });
  await reaches(client, "ended");
  assert.equal(page.localStorage.getItem("draft"), null);
  assert.deepEqual(
    told.filter((turn) => turn.startsWith("b")),
    ["b holds", "b accepted", "b ended", "b steps"],
  );
});

test("what tabs share is spared when a part knows that a newer login has it", async (t) => {
  const hub = await startHub(t);
  const { client } = startWith(t, hub.url, { a: {}, b: { isTaken: async () => true } });
  await reaches(client, "connected");
  await hub.notify(LOGOUT);
  assert.equal(page.localStorage.getItem("draft"), "secret");
  assert.deepEqual(page.sessionStorage.entries(), {});
});

test("a page's own storages are cleared whoever has what tabs share", async (t) => {
  const hub = await startHub(t);
  const storage = new MemoryStorage({ draft: "secret" });
  const taken = () => ({ isTaken: () => true });
  const client = createCore({ url: hub.url, token: "t", storages: [storage] }, [taken]);
  t.after(() => client.close());
  await reaches(client, "connected");
  await hub.notify(LOGOUT);
  assert.deepEqual(storage.entries(), {});
});
