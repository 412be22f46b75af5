/** Logouts without a network: kept by a page, delivered by it or by a later one. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { PENDING } from "./clearing.js";
import { createLogoutHub } from "./client.js";
import {
  pause,
  quietWhile,
  REVOKED,
  reaches,
  recorder,
  startHttp,
  startTelling,
  until,
} from "./support.js";
import { closePage, openPage } from "./support-page.js";

/** @typedef {import("node:test").TestContext} TestContext */

/** @type {ReturnType<typeof openPage>} */
let page;

beforeEach(() => {
  page = openPage();
});
afterEach(closePage);

const ADA = { session: "s1", user: "ada" };

/** A hub that can be out of reach, and knows sessions by their tokens. @param {TestContext} t
 * @param {Record<string, {session: string, user: string, login_age?: number}>} sessions by token, "" for the cookie */
async function startReachable(t, sessions) {
  const hub = await startTelling(t, Object.values(sessions)[0] ?? {}, () => ({
    ok: false,
    error: { code: "unavailable", title: "Not now" },
  }));
  const state = { up: true, refusal: /** @type {any} */ (undefined) };
  hub.answer = ({ method, headers }) => {
    if (!state.up) return [503, { code: "unavailable", title: "Not now" }];
    const known = sessions[headers.authorization?.slice("Bearer ".length) ?? ""];
    if (method === "POST") return state.refusal ?? [200, { id: "l9", scope: "all", sessions: [] }];
    if (!known) return [401, REVOKED];
    return [200, { ...known, sid: known.session }];
  };
  const posts = () =>
    hub.calls
      .filter(({ method }) => method === "POST")
      .map(({ body, headers }) => ({ ...body, token: headers.authorization?.slice(7) }));
  return Object.assign(hub, { posts, state });
}

/** A page that is gone gets no answer any more, and so asks for nothing.
 * @param {{close: () => void}} client */
async function leavePage(client) {
  const { fetch } = globalThis;
  const last = recorder(() => new Promise(() => {}));
  Object.assign(globalThis, { fetch: last });
  await until("its last try", () => last.calls.length > 0);
  client.close();
  Object.assign(globalThis, { fetch });
}

/** Ada's page, connected. @param {TestContext} t @param {import("./session.js").Options} [options] */
async function openAda(t, options) {
  const hub = await startReachable(t, { t1: ADA });
  const client = createLogoutHub({ url: hub.url, token: "t1", ...options });
  t.after(() => client.close());
  await reaches(client, "connected");
  return { hub, client };
}

/** A page that opened and logged out while the hub was out of reach: nobody had said whose it was.
 * @param {TestContext} t @param {Awaited<ReturnType<typeof startReachable>>} hub */
async function logOutUnknown(t, hub) {
  hub.state.up = false;
  const client = createLogoutHub({ url: hub.url });
  t.after(() => client.close());
  assert.equal((await client.logout()).pending, true);
  await leavePage(client);
  hub.state.up = true;
  hub.calls.length = 0;
}

/** A page that logged out while the hub was out of reach, and was closed then. @param {TestContext} t
 * @param {Awaited<ReturnType<typeof startReachable>>} hub @param {string} [token] */
async function logOutOffline(t, hub, token, wanted = {}) {
  const client = createLogoutHub({ url: hub.url, token });
  t.after(() => client.close());
  await reaches(client, "connected");
  hub.state.up = false;
  const answer = await client.logout(wanted);
  await leavePage(client);
  hub.state.up = true;
  hub.calls.length = 0;
  return answer;
}

const kept = () => JSON.parse(page.localStorage.getItem(PENDING) ?? "[]");

test("a logout out of the hub's reach clears at once, says so, and keeps what is owed", async (t) => {
  const onLogout = recorder();
  const { hub, client } = await openAda(t, { onLogout });
  page.localStorage.setItem("draft", "secret");
  hub.state.up = false;
  const answer = await client.logout({ message: "Bye" });
  assert.deepEqual(answer, { pending: true, scope: "all", sessions: [] });
  assert.equal(client.state, "ended");
  assert.deepEqual(Object.keys(page.localStorage.entries()), [PENDING]);
  await until("the app to be told", () => onLogout.calls.length === 1);
  const told = { scope: "all", reason: "user", message: "Bye", sid: "s1", pending: true };
  assert.deepEqual(onLogout.calls, [told]);
  const [{ key, at, ...entry }] = kept();
  assert.ok(Math.abs(Date.now() / 1000 - at) < 60);
  const command = { scope: "all", message: "Bye" };
  assert.deepEqual(entry, { hub: hub.url, command, token: "t1", ...ADA });
  assert.equal(hub.events[0].value.idempotencyKey, key);
});

test("it is delivered by the page itself when the network is back, with the same key", async (t) => {
  const { hub, client } = await openAda(t);
  const delivered = recorder();
  client.on("delivered", delivered);
  hub.state.up = false;
  await client.logout();
  const [{ key }] = kept();
  hub.state.up = true;
  page.say("online");
  await until("the delivery", () => delivered.calls.length === 1);
  await quietWhile();
  assert.deepEqual(delivered.calls, [{ id: "l9", scope: "all", sessions: [] }]);
  assert.deepEqual(kept(), []);
  const keys = hub.calls.flatMap(({ headers }) => headers["idempotency-key"] ?? []);
  assert.deepEqual(keys, [key]);
  assert.equal(client.state, "ended");
});

test("it is delivered by itself once the hub answers, without any event", async (t) => {
  const { hub, client } = await openAda(t);
  hub.state.up = false;
  await client.logout();
  hub.state.up = true;
  await until("the delivery", () => kept().length === 0);
});

test("asked for twice, it is kept once", async (t) => {
  const { hub, client } = await openAda(t);
  hub.state.up = false;
  const answers = await Promise.all([client.logout(), client.logout()]);
  assert.deepEqual(
    answers.map(({ pending }) => pending),
    [true, true],
  );
  assert.equal(kept().length, 1);
});

test("a page that opens later delivers first, and ends without connecting", async (t) => {
  const hub = await startReachable(t, { "": ADA });
  await logOutOffline(t, hub, undefined, { reason: "idle" });
  assert.equal(kept()[0].token, undefined);
  const onLogout = recorder();
  const later = createLogoutHub({ url: hub.url, onLogout });
  t.after(() => later.close());
  await reaches(later, "ended");
  assert.deepEqual(hub.posts(), [{ scope: "all", reason: "idle", token: undefined }]);
  assert.equal(onLogout.calls[0].id, "l9");
  assert.equal(hub.sockets.length, 1);
  assert.equal(page.document.isOpen, false);
});

for (const [wanted, sent] of /** @type {const} */ ([
  [{ scope: "all" }, { scope: "others" }],
  [{ scope: "session" }, { scope: "session", sid: "s1" }],
]))
  test(`a fresh login of the same user survives a late logout of ${wanted.scope}`, async (t) => {
    const fresh = { session: "s2", user: "ada" };
    const hub = await startReachable(t, { t1: ADA, t2: fresh });
    await logOutOffline(t, hub, "t1", wanted);
    const later = createLogoutHub({ url: hub.url, token: () => "t2" });
    t.after(() => later.close());
    await reaches(later, "connected");
    assert.deepEqual(hub.posts(), [{ ...sent, token: "t2" }]);
    assert.deepEqual(kept(), []);
  });

for (const [name, sessions] of /** @type {const} */ ([
  ["another user", { t1: ADA, t2: { session: "s2", user: "eve" } }],
  ["nobody", { t1: ADA }],
]))
  test(`with ${name} logged in it is sent with the token of who asked for it`, async (t) => {
    const hub = await startReachable(t, sessions);
    await logOutOffline(t, hub, "t1");
    const { fetch } = globalThis;
    t.after(() => Object.assign(globalThis, { fetch }));
    const inits = recorder();
    /** @param {any} address @param {any} init */
    const spy = (address, init) => {
      if (init.method === "POST") inits(init);
      return fetch(address, init);
    };
    Object.assign(globalThis, { fetch: spy });
    const later = createLogoutHub({ url: hub.url, token: "t2" });
    t.after(() => later.close());
    await until("the delivery", () => kept().length === 0);
    assert.deepEqual(hub.posts(), [{ scope: "all", token: "t1" }]);
    // So that what the hub has the browser clear is not the one's who is here now.
    assert.equal(inits.calls[0].credentials, "omit");
    await until("the connect", () => hub.auths.length === 2);
    assert.equal(later.state === "ended", false);
  });

test("without a token of who asked for it, it is nobody's and is dropped", async (t) => {
  const hub = await startReachable(t, { "": ADA, t2: { session: "s2", user: "eve" } });
  await logOutOffline(t, hub);
  const later = createLogoutHub({ url: hub.url, token: "t2" });
  t.after(() => later.close());
  await reaches(later, "connected");
  assert.deepEqual(hub.posts(), []);
  assert.deepEqual(kept(), []);
});

for (const [name, login_age, sent] of /** @type {const} */ ([
  ["that was there before is ended", 60, 1],
  ["that came after is left alone", 0, 0],
]))
  test(`of a logout of nobody knows whom, a session ${name}`, async (t) => {
    const hub = await startReachable(t, { "": { ...ADA, login_age } });
    await logOutUnknown(t, hub);
    const later = createLogoutHub({ url: hub.url });
    t.after(() => later.close());
    await reaches(later, sent ? "ended" : "connected");
    assert.equal(hub.posts().length, sent);
    assert.deepEqual(kept(), []);
  });

test("it is delivered though the app closes its client as soon as that has ended", async (t) => {
  const hub = await startReachable(t, { t1: ADA });
  const client = createLogoutHub({ url: hub.url, token: "t1", onLogout: () => client.close() });
  await reaches(client, "connected");
  hub.state.up = false;
  await client.logout();
  await until("the close", () => client.state === "closed");
  await until("a vain try", () => hub.calls.some(({ path }) => path === "/session"));
  hub.state.up = true;
  await until("the delivery", () => kept().length === 0);
  assert.equal(hub.posts().length > 0, true);
});

test("a refusal for good drops it, with its token", async (t) => {
  const hub = await startReachable(t, { t1: ADA });
  await logOutOffline(t, hub, "t1");
  hub.state.refusal = [401, REVOKED];
  const later = createLogoutHub({ url: hub.url, token: "t1" });
  t.after(() => later.close());
  await until("the drop", () => kept().length === 0);
});

test("a hub that fails at the logout itself is asked again", async (t) => {
  const hub = await startReachable(t, { t1: ADA });
  await logOutOffline(t, hub, "t1");
  hub.state.refusal = [503, { code: "unavailable", title: "Not now" }];
  const later = createLogoutHub({ url: hub.url, token: "t1" });
  t.after(() => later.close());
  await until("a vain try", () => hub.posts().length > 0);
  await pause(50);
  assert.equal(kept().length, 1);
  hub.state.refusal = undefined;
  await reaches(later, "ended");
  assert.deepEqual(kept(), []);
});

test("while the hub is out of reach a later page waits, and does not connect", async (t) => {
  const hub = await startReachable(t, { t1: ADA });
  await logOutOffline(t, hub, "t1");
  hub.state.up = false;
  const later = createLogoutHub({ url: hub.url, token: "t1" });
  t.after(() => later.close());
  await quietWhile();
  assert.equal(hub.sockets.length, 1);
  assert.equal(kept().length, 1);
  hub.state.up = true;
  await reaches(later, "ended");
});

test("what is owed to another hub waits for that hub's page", async (t) => {
  const hub = await startReachable(t, { t1: ADA });
  await logOutOffline(t, hub, "t1");
  const other = await startTelling(t, ADA);
  const client = createLogoutHub({ url: other.url, token: "t1" });
  t.after(() => client.close());
  await reaches(client, "connected");
  assert.equal(kept().length, 1);
  assert.deepEqual(other.calls, []);
});

test("where nothing can be kept, the logout rejects and clears nothing", async (t) => {
  const web = await startHttp(t);
  web.server.close();
  web.server.closeAllConnections();
  page.sessionStorage.setItem("draft", "secret");
  page.localStorage.setItem = () => assert.fail("expected: the quota is exceeded");
  const client = createLogoutHub({ url: web.url, token: "t1" });
  t.after(() => client.close());
  await assert.rejects(client.logout(), { code: "unavailable" });
  assert.equal(page.sessionStorage.getItem("draft"), "secret");
});

test("what an app wrote over the kept logouts is passed over", async (t) => {
  page.localStorage.setItem(PENDING, "{");
  await openAda(t);
});
