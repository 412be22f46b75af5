/** Tabs of one browser: Node's own BroadcastChannel, taken before it is put away. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

const { BroadcastChannel } = globalThis;
const support = await import("./support.js");
const { LOGOUT, MemoryStorage, quietWhile, REVOKED, reaches, recorder, startTelling, until } =
  support;
const { closePage, openPage } = await import("./support-page.js");
const { createLogoutHub } = await import("./client.js");

before(() => Object.assign(globalThis, { BroadcastChannel }));
after(() => Reflect.deleteProperty(globalThis, "BroadcastChannel"));

/** A tab of that session, whose hub is its own: what it hears of others, it hears from their tabs.
 * @param {import("node:test").TestContext} t @param {string} [session] */
async function openTab(t, session) {
  const hub = await startTelling(t, { session, user: "ada" }, () => ({ ok: true, id: "l9" }));
  const storage = new MemoryStorage({ draft: "secret" });
  const onLogout = recorder();
  const client = createLogoutHub({ url: hub.url, token: "t", storages: [storage], onLogout });
  t.after(() => client.close());
  await reaches(client, "connected");
  return { hub, client, storage, told: onLogout.calls };
}

test("a logout reaches the session's other tabs without the network, with its reason", async (t) => {
  const [first, second] = [await openTab(t, "s1"), await openTab(t, "s1")];
  await first.client.logout({ scope: "session", reason: "idle" });
  await reaches(second.client, "ended");
  assert.deepEqual(second.storage.entries(), {});
  assert.deepEqual(second.told, [{ id: "l9", scope: "session", reason: "idle", sid: "s1" }]);
  assert.deepEqual(second.hub.events, []);
});

test("a notification that only one tab heard reaches the others", async (t) => {
  const [first, second] = [await openTab(t, "s2"), await openTab(t, "s2")];
  first.hub.notify(LOGOUT);
  await reaches(second.client, "ended");
  assert.deepEqual(second.told, [LOGOUT]);
});

for (const [name, sessions] of /** @type {const} */ ([
  ["of another session, such as a fresh login,", ["s3", "s4"]],
  ["that know no session", [undefined, undefined]],
]))
  test(`tabs ${name} are left alone`, async (t) => {
    const [first, second] = [await openTab(t, sessions[0]), await openTab(t, sessions[1])];
    await first.client.logout();
    await reaches(first.client, "ended");
    await quietWhile();
    assert.equal(second.client.state, "connected");
    assert.equal(second.storage.getItem("draft"), "secret");
  });

test("a tab whose client was closed hears nothing", async (t) => {
  const [first, second] = [await openTab(t, "s5"), await openTab(t, "s5")];
  second.client.close();
  await first.client.logout();
  await quietWhile();
  assert.equal(second.client.state, "closed");
  assert.equal(second.storage.getItem("draft"), "secret");
});

/** A tab with a page of its own, whose storages hold something, by cookie.
 * @param {import("node:test").TestContext} t @param {string} session
 * @param {import("./session.js").Options} [options] */
async function openPageTab(t, session, options = {}) {
  const page = openPage();
  t.after(closePage);
  const hub = await startTelling(t, { session, user: "ada" });
  const client = createLogoutHub({ url: hub.url, ...options });
  t.after(() => client.close());
  await reaches(client, "connected");
  page.localStorage.setItem("draft", "secret");
  page.sessionStorage.setItem("draft", "secret");
  return { page, hub, client };
}

test("a tab that was awake leaves a newer login of the browser its storage", async (t) => {
  const { page, hub, client } = await openPageTab(t, "s8");
  const newer = await openTab(t, "s9");
  hub.answer = () => [200, { sid: "s9", user: "eve" }];
  await quietWhile();
  hub.notify(LOGOUT);
  await reaches(client, "ended");
  assert.deepEqual(page.localStorage.entries(), { draft: "secret" });
  assert.deepEqual(page.sessionStorage.entries(), {});
  assert.equal(newer.client.state, "connected");
});

for (const [name, now, left] of /** @type {const} */ ([
  ["leaves a fresh login its storage", [200, { sid: "s7", user: "ada" }], { draft: "secret" }],
  ["clears all when nobody is logged in anew", [401, REVOKED], {}],
  ["clears all when that cannot be known", [503], {}],
]))
  test(`a tab that slept when its session ended ${name}`, async (t) => {
    const { page, hub, client } = await openPageTab(t, "s6");
    // Back in view, and not confirmed yet: neither over HTTP nor by a socket.
    hub.answer = () => [503];
    hub.server.removeAllListeners("upgrade");
    page.resume();
    await until("the vain question", () => client.state !== "connected");
    hub.answer = () => /** @type {[number, any]} */ (now);
    const other = new BroadcastChannel("logout-hub");
    t.after(() => other.close());
    other.postMessage({ sid: "s6", notification: LOGOUT });
    await reaches(client, "ended");
    assert.deepEqual(page.localStorage.entries(), left);
    assert.deepEqual(page.sessionStorage.entries(), {});
  });

for (const [name, newer, how] of /** @type {const} */ ([
  ["another person's login has replaced this one", { sid: "s11", user: "eve" }, "look"],
  ["the user's newer login has ended this one", { sid: "s11", user: "ada" }, "notification"],
  ["a newer login is there, and this one was to be proved anew", { sid: "s11" }, "login_required"],
]))
  test(`nobody has to authenticate again when ${name}`, async (t) => {
    const asked = recorder();
    const loginUrl = (/** @type {any} */ why) => void asked(why);
    const { page, hub, client } = await openPageTab(t, "s10", { loginUrl, storages: [] });
    const other = new BroadcastChannel("logout-hub");
    t.after(() => other.close());
    other.postMessage({ login: newer.sid });
    await quietWhile();
    hub.answer = () => [200, newer];
    if (how === "look") page.setVisibility("visible");
    else
      hub.notify({
        ...LOGOUT,
        scope: "others",
        reauthenticate: how === "login_required" || undefined,
      });
    await reaches(client, "ended");
    await until("the login page", () => asked.calls.length > 0);
    assert.equal(asked.calls[0].reauthenticate, false);
  });

for (const [reason, reauthenticate] of /** @type {const} */ ([
  ["user", true],
  ["expired", false],
]))
  test(`whether people have to authenticate again depends on the reason: ${reason}`, async (t) => {
    const asked = recorder();
    const loginUrl = (/** @type {any} */ why) => void asked(why);
    const { hub, client } = await openPageTab(t, "s12", { token: "t", loginUrl });
    hub.notify({ ...LOGOUT, reason });
    await reaches(client, "ended");
    await until("the login page", () => asked.calls.length > 0);
    assert.equal(asked.calls[0].reauthenticate, reauthenticate);
  });
