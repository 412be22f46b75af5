/** When private content may be seen. The page is made up; a real one is shown in Chromium. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { createLogoutHub } from "./client.js";
import { PACE } from "./hiding.js";
import {
  LOGOUT,
  pause,
  quietWhile,
  REVOKED,
  reaches,
  startHub,
  startTelling,
  until,
} from "./support.js";
import { closePage, openPage } from "./support-page.js";

PACE.tick = 200;
const ABSENCE = 5 * PACE.tick;

/** @type {ReturnType<typeof openPage>} */
let page;

beforeEach(() => {
  page = openPage();
  page.document.marked = [{ inert: false, hidden: true }];
});
afterEach(closePage);

/** A page whose session was confirmed. @param {import("node:test").TestContext} t
 * @param {import("./session.js").Options} [options] */
async function openConfirmed(t, options) {
  const hub = await startHub(t);
  hub.answer = () => [200, { sid: "s1", user: "ada" }];
  const client = createLogoutHub({ url: hub.url, token: "t", ...options });
  t.after(() => client.close());
  await reaches(client, "connected");
  return { hub, client };
}

/** Answers `GET /session` only when told to. @param {Awaited<ReturnType<typeof startHub>>} hub */
function hold(hub) {
  hub.answer = () => [503, { code: "unavailable", title: "Not now" }];
  // A socket is no way round it.
  hub.io.use(() => undefined);
}

test("private content is hidden and inert until the session is confirmed", async (t) => {
  const hub = await startHub(t);
  let /** @type {(() => void) | undefined} */ open;
  hub.io.use((_, next) => {
    open = next;
  });
  const client = createLogoutHub({ url: hub.url, token: "t" });
  t.after(() => client.close());
  await until("the client's CONNECT", () => open);
  assert.equal(page.document.isOpen, false);
  assert.deepEqual(page.document.marked, [{ inert: true, hidden: true }]);
  open?.();
  await reaches(client, "connected");
  assert.equal(page.document.isOpen, true);
  assert.deepEqual(page.document.marked, [{ inert: false, hidden: false }]);
});

test("a session that is polled is confirmed as well", async (t) => {
  const hub = await startTelling(t, {});
  hub.server.removeAllListeners("upgrade");
  hub.answer = () => [200, { sid: "s1" }];
  const client = createLogoutHub({ url: hub.url, token: "t" });
  t.after(() => client.close());
  await reaches(client, "polling");
  assert.equal(page.document.isOpen, true);
});

test("what is private is named by a selector, or given as elements", async (t) => {
  const hide = { inert: false, hidden: false, attributes: /** @type {string[]} */ ([]) };
  const element = Object.assign(hide, {
    setAttribute: (/** @type {string} */ name) => hide.attributes.push(name),
  });
  await openConfirmed(t, { hide: /** @type {any} */ ([element]) });
  assert.deepEqual(element.attributes, ["data-private"]);
  page = openPage();
  await openConfirmed(t, { hide: "main, .own" });
  const { text } = page.document.adoptedStyleSheets[0];
  assert.equal(text, ":is(main, .own),:is(main, .own) *{visibility:hidden!important}");
});

for (const [name, comeBack] of /** @type {const} */ ([
  ["the network is back", () => page.say("online")],
  ["a frozen page is resumed", () => page.resume()],
  [
    "the page comes back from the back/forward cache",
    () => {
      page.say("pagehide");
      page.say("pageshow");
    },
  ],
]))
  test(`when ${name}, private content is hidden until the session is confirmed`, async (t) => {
    const { hub, client } = await openConfirmed(t);
    hold(hub);
    comeBack();
    await quietWhile();
    assert.equal(page.document.isOpen, false);
    assert.equal(page.document.marked[0].inert, true);
    assert.equal(client.state, "connecting");
  });

test("a confirmation opens again", async (t) => {
  const { hub } = await openConfirmed(t);
  page.say("online");
  assert.equal(page.document.isOpen, false);
  await until("the confirmation", () => page.document.isOpen);
  assert.equal(hub.sockets.length, 1);
});

test("what the app hides or makes inert itself stays so at later confirmations", async (t) => {
  const { hub } = await openConfirmed(t);
  page.document.marked[0].hidden = true;
  page.document.marked[0].inert = true;
  page.setVisibility("visible");
  await until("the confirmation", () => hub.calls.length > 0);
  await pause(100);
  assert.deepEqual(page.document.marked, [{ inert: true, hidden: true }]);
});

for (const [how, answer, opens] of /** @type {const} */ ([
  ["that the hub refuses", { ok: false, error: { code: "rate_limited", title: "Later" } }, true],
  ["that ends the session", { ok: true, id: "l9", scope: "all", sessions: [] }, false],
]))
  test(`a logout ${how} hides at once, and shows again only who stays`, async (t) => {
    let /** @type {((answer: object) => void) | undefined} */ settle;
    const hub = await startTelling(
      t,
      { session: "s1" },
      () => new Promise((done) => (settle = done)),
    );
    hub.answer = () => [200, { sid: "s1" }];
    const client = createLogoutHub({ url: hub.url, token: "t" });
    t.after(() => client.close());
    await reaches(client, "connected");
    const asked = client.logout().catch(({ code }) => code);
    assert.equal(page.document.isOpen, false);
    await until("the command", () => settle);
    assert.equal(page.document.isOpen, false);
    settle?.(answer);
    await asked;
    await quietWhile();
    assert.equal(page.document.isOpen, opens);
    assert.equal(hub.calls.length, opens ? 1 : 0);
  });

test("a session that is confirmed while its logout is under way stays hidden", async (t) => {
  const hub = await startTelling(t, { session: "s1" }, () => new Promise(() => undefined));
  hub.answer = () => [200, { sid: "s1" }];
  const client = createLogoutHub({ url: hub.url, token: "t" });
  t.after(() => client.close());
  await reaches(client, "connected");
  void client.logout().catch(() => undefined);
  page.setVisibility("visible");
  await until("the confirmation", () => hub.calls.length > 0);
  await pause(100);
  assert.equal(page.document.isOpen, false);
});

test("a logout of a session that is over hides nothing of the next login", async (t) => {
  const { hub, client } = await openConfirmed(t);
  await hub.notify(LOGOUT);
  await reaches(client, "ended");
  const next = createLogoutHub({ url: hub.url, token: "t2" });
  t.after(() => next.close());
  await reaches(next, "connected");
  hub.answer = () => [401, REVOKED];
  await client.logout().catch(() => undefined);
  assert.equal(page.document.isOpen, true);
});

test("a page that leaves is hidden, so that no cache holds it open", async (t) => {
  await openConfirmed(t);
  page.say("pagehide");
  assert.equal(page.document.isOpen, false);
});

test("a glance elsewhere hides nothing, a longer absence does", async (t) => {
  const { hub } = await openConfirmed(t);
  page.setVisibility("hidden");
  page.setVisibility("visible");
  assert.equal(page.document.isOpen, true);
  await until("the question", () => hub.calls.length === 1);
  page.setVisibility("hidden");
  await pause(ABSENCE + 500);
  assert.equal(page.document.isOpen, true);
  page.setVisibility("visible");
  assert.equal(page.document.isOpen, false);
  await until("the confirmation", () => page.document.isOpen);
});

test("a computer that slept is noticed by its clock", async (t) => {
  const { hub } = await openConfirmed(t);
  hold(hub);
  const { now } = Date;
  t.after(() => Object.assign(Date, { now }));
  Object.assign(Date, { now: () => now() + ABSENCE * 2 });
  await until("the page to be hidden", () => !page.document.isOpen);
});

test("after the end private content stays hidden, whatever comes", async (t) => {
  const { hub, client } = await openConfirmed(t);
  await hub.notify(LOGOUT);
  await reaches(client, "ended");
  assert.equal(page.document.isOpen, false);
  for (const comeBack of [() => page.say("pageshow"), () => page.say("online"), page.resume])
    comeBack();
  await quietWhile();
  assert.equal(page.document.isOpen, false);
  assert.deepEqual(hub.calls, []);
});

test("a page that logs in anew without loading anew is opened by its next client", async (t) => {
  const { hub, client } = await openConfirmed(t);
  await hub.notify(LOGOUT);
  await reaches(client, "ended");
  client.close();
  assert.equal(page.document.isOpen, false);
  const next = createLogoutHub({ url: hub.url, token: "t2" });
  t.after(() => next.close());
  assert.equal(page.document.isOpen, false);
  await reaches(next, "connected");
  assert.equal(page.document.isOpen, true);
});

test("one of several sessions of a page ends without asking who else is there", async (t) => {
  const open = async (/** @type {string} */ session) => {
    const hub = await startTelling(t, { session, user: "ada" });
    const client = createLogoutHub({ url: hub.url, token: "t" });
    t.after(() => client.close());
    await reaches(client, "connected");
    return { hub, client };
  };
  const [first, second] = [await open("s1"), await open("s2")];
  first.hub.notify(LOGOUT);
  await reaches(first.client, "ended");
  assert.equal(page.document.isOpen, false);
  second.hub.notify(LOGOUT);
  await reaches(second.client, "ended");
  assert.deepEqual(second.hub.calls, []);
});

test("a session that ended meanwhile stays hidden, and tells why", async (t) => {
  const { hub, client } = await openConfirmed(t);
  hub.answer = () => [401, { ...REVOKED, id: "l1", scope: "all", reason: "admin" }];
  page.say("pagehide");
  page.say("pageshow");
  await reaches(client, "ended");
  assert.equal(page.document.isOpen, false);
});

test("another person who logged in meanwhile does not see what this one left", async (t) => {
  const { hub, client } = await openConfirmed(t, { token: undefined });
  page.say("pageshow");
  await until("the session to be known", () => client.session === "s1");
  hub.answer = () => [200, { sid: "s9", user: "eve" }];
  page.localStorage.setItem("draft", "Eve's");
  page.sessionStorage.setItem("draft", "Ada's");
  page.setVisibility("visible");
  await reaches(client, "ended");
  assert.equal(page.document.isOpen, false);
  assert.deepEqual(page.localStorage.entries(), { draft: "Eve's" });
  assert.deepEqual(page.sessionStorage.entries(), {});
});
