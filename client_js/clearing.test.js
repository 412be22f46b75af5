/** What is cleared, of the browser's own stores; made up here, as Node has none of them. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { createCleaner, PENDING } from "./clearing.js";
import { siteData } from "./site-data.js";
import { MemoryStorage } from "./support.js";
import { closePage, openPage, pretend } from "./support-page.js";
import { TIMING } from "./tasks.js";

TIMING.hook = 300;

/** @typedef {import("./session.js").Options} Options */
/** @param {Options} options */
const cleanerFor = (options) => createCleaner(options, [siteData({ options })]);

/** @type {ReturnType<typeof openPage>} */
let page;
/** @type {ReturnType<typeof fakeStores>} */
let stores;

/** Databases, caches and workers, which each keep the names that they have left. */
function fakeStores() {
  const databases = new Set(["drafts", "kept"]);
  const cached = new Set(["answers", "kept"]);
  const state = { databases, cached, stuck: new Set(), subscribed: true, registered: true };
  const registration = {
    pushManager: {
      getSubscription: async () =>
        state.subscribed ? { unsubscribe: async () => (state.subscribed = false) } : null,
    },
    unregister: async () => (state.registered = false),
  };
  pretend({
    indexedDB: {
      databases: async () => [...databases].map((name) => ({ name, version: 1 })),
      deleteDatabase(/** @type {string} */ name) {
        const request = { onsuccess: () => undefined };
        if (state.stuck.has(name)) return request;
        databases.delete(name);
        queueMicrotask(() => request.onsuccess());
        return request;
      },
    },
    caches: {
      keys: async () => [...cached],
      delete: async (/** @type {string} */ name) => cached.delete(name),
    },
    navigator: { serviceWorker: { getRegistrations: async () => [registration] } },
  });
  return state;
}

beforeEach(() => {
  page = openPage();
  stores = fakeStores();
  for (const key of ["draft", "kept", PENDING]) page.localStorage.setItem(key, "1");
  page.sessionStorage.setItem("step", "2");
  page.document.jar = new Map([
    ["cart", "/"],
    ["folder", "/app/"],
    ["deep", "/app/page"],
    ["wide", "/ unset.test"],
    ["kept", "/"],
  ]);
});
afterEach(closePage);

test("an ordinary logout clears all but what is kept, and leaves the app's workers", async () => {
  const cleaner = cleanerFor({ keep: ["kept"] });
  assert.deepEqual(await cleaner.clear({ reason: "user" }), { cleared: true });
  assert.deepEqual(page.localStorage.entries(), { kept: "1", [PENDING]: "1" });
  assert.deepEqual(page.sessionStorage.entries(), {});
  assert.deepEqual([...page.document.jar.keys()], ["kept"]);
  assert.deepEqual([...stores.databases], ["kept"]);
  assert.deepEqual([...stores.cached], ["kept"]);
  assert.equal(stores.subscribed, false);
  assert.equal(stores.registered, true);
});

/** @type {[string, Options, import("./frames.js").LogoutNotification][]} */
const LOST = [
  ["a suspicious logout", {}, { reason: "suspicious" }],
  ["a notification that says so", {}, { reason: "admin", profile: "lost" }],
  ["a page that always says so", { profile: "lost" }, { reason: "user" }],
  ["a page that says so by the notification", { profile: byScope }, { scope: "all" }],
];
/** @type {(notification: import("./frames.js").LogoutNotification) => "lost" | "ordinary"} */
function byScope({ scope }) {
  return scope === "all" ? "lost" : "ordinary";
}

for (const [name, options, notification] of LOST)
  test(`${name} keeps nothing but a logout that is owed to the hub`, async () => {
    const cleaner = cleanerFor({ keep: ["kept"], ...options });
    assert.deepEqual(await cleaner.clear(notification), { cleared: true });
    assert.deepEqual(page.localStorage.entries(), { [PENDING]: "1" });
    assert.deepEqual([...page.document.jar.keys()], []);
    assert.deepEqual([...stores.databases, ...stores.cached], []);
    assert.equal(stores.registered, false);
  });

test("the page's word on the profile goes before the reason", async () => {
  const cleaner = cleanerFor({ keep: ["kept"], profile: byScope });
  await cleaner.clear({ reason: "suspicious", scope: "session" });
  assert.equal(page.localStorage.getItem("kept"), "1");
});

test("a profile function that fails clears as for a lost device", async () => {
  const profile = () => assert.fail("expected: the app's own mistake");
  const cleaner = cleanerFor({ keep: ["kept"], profile });
  assert.deepEqual(await cleaner.clear({}), { cleared: true });
  assert.equal(page.localStorage.getItem("kept"), null);
});

test("what cannot be cleared, or not in time, is named and stops nothing else", async () => {
  stores.stuck.add("drafts");
  page.document.jar.set("alien", "/elsewhere");
  const deny = () => Promise.reject(new Error("expected: denied"));
  pretend({ caches: { keys: deny }, navigator: { serviceWorker: { getRegistrations: deny } } });
  const clear = () => new Promise(() => undefined);
  const cleaner = cleanerFor({ clear, profile: "lost" });
  assert.deepEqual(await cleaner.clear({}), {
    cleared: false,
    failed: ["cookies", "indexedDB", "caches", "push", "workers", "hook"],
  });
  assert.deepEqual(page.localStorage.entries(), { [PENDING]: "1" });
  assert.deepEqual([...stores.databases], ["drafts"]);
});

test("the page's own storages are all that is cleared beside cookies, when it names them", async () => {
  const storage = new MemoryStorage({ draft: "1" });
  const cleaner = cleanerFor({ storages: [storage], profile: "lost" });
  assert.deepEqual(await cleaner.clear({}), { cleared: true });
  assert.deepEqual(storage.entries(), {});
  assert.equal(page.localStorage.getItem("draft"), "1");
  assert.deepEqual([...page.document.jar.keys()], []);
  assert.equal(stores.databases.size, 2);
  assert.equal(stores.subscribed && stores.registered, true);
});

test("a storage that the browser forbids is passed over", async () => {
  const get = () => assert.fail("expected: access is denied");
  Object.defineProperty(globalThis, "localStorage", { get, configurable: true });
  const cleaner = cleanerFor({});
  assert.deepEqual(await cleaner.clear({}), { cleared: true });
  assert.deepEqual(page.sessionStorage.entries(), {});
});
