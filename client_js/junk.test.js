/** Junk where the client reads: storage, other tabs, and the hub's answers. It is never waited for. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

const { BroadcastChannel } = globalThis;
const { LOGOUT, quietWhile, reaches, startTelling } = await import("./support.js");
const { closePage, openPage } = await import("./support-page.js");
const { createLogoutHub } = await import("./client.js");
const { PENDING } = await import("./clearing.js");

/** @type {ReturnType<typeof openPage>} */
let page;

beforeEach(() => {
  page = openPage();
});
afterEach(closePage);

const ENTRY = { key: "1-2", command: { scope: "all" }, at: 1, session: "s9", token: "t9" };

/** Text that is no list of logouts, or has a logout in it of which no request can be made.
 * @type {Record<string, (hub: string) => unknown>} */
const JUNK = {
  "a null": () => [null],
  "a number in a list": () => [7],
  nothing: () => null,
  "an object": () => ({ hub: "x" }),
  "a text": () => "x",
  "lists in lists": () => [[[[]]]],
  "no command": (hub) => [{ ...ENTRY, hub, command: null }],
  "a command that is a text": (hub) => [{ ...ENTRY, hub, command: "all" }],
  "a scope that is none": (hub) => [{ ...ENTRY, hub, command: { scope: "everyone" } }],
  "a key that no header can hold": (hub) => [{ ...ENTRY, hub, key: "a\nb" }],
  "a key that is no text": (hub) => [{ ...ENTRY, hub, key: {} }],
  "a token that no header can hold": (hub) => [{ ...ENTRY, hub, token: "a\nb" }],
  "a token that is no text": (hub) => [{ ...ENTRY, hub, token: ["t"] }],
  "a session that is no text": (hub) => [{ ...ENTRY, hub, session: 7 }],
  "a time that is none": (hub) => [{ ...ENTRY, hub, at: "now" }],
  "more than a request may carry": (hub) => [
    { ...ENTRY, hub, command: { scope: "all", message: "x".repeat(70_000) } },
  ],
  "a hub that is no text": () => [{ ...ENTRY, hub: 7 }],
};

/** @param {import("node:test").TestContext} t @param {object} [told] */
async function openHub(t, told) {
  const hub = await startTelling(t, { session: "s1", user: "ada", ...told }, () => ({ ok: true }));
  hub.answer = ({ method }) =>
    method === "POST" ? [200, { id: "l9", sessions: [] }] : [200, { sid: "s1", user: "ada" }];
  return hub;
}

for (const [name, make] of Object.entries(JUNK))
  test(`logouts owed that are junk are thrown away, and connecting goes on: ${name}`, async (t) => {
    const hub = await openHub(t);
    page.localStorage.setItem(PENDING, JSON.stringify(make(hub.url)));
    const client = createLogoutHub({ url: hub.url, token: "t1" });
    t.after(() => client.close());
    await reaches(client, "connected");
    assert.equal(page.localStorage.getItem(PENDING), null);
  });

for (const text of ["", "{", "[null", "NaN"])
  test(`what is not even JSON is thrown away as well: ${JSON.stringify(text)}`, async (t) => {
    const hub = await openHub(t);
    page.localStorage.setItem(PENDING, text);
    const client = createLogoutHub({ url: hub.url, token: "t1" });
    t.after(() => client.close());
    await reaches(client, "connected");
    assert.equal(page.localStorage.getItem(PENDING), null);
  });

test("a good logout beside junk is delivered", async (t) => {
  const hub = await openHub(t);
  page.localStorage.setItem(PENDING, JSON.stringify([null, { ...ENTRY, hub: hub.url }, 7]));
  const client = createLogoutHub({ url: hub.url, token: "t1" });
  t.after(() => client.close());
  await reaches(client, "connected");
  const posts = hub.calls.filter(({ method }) => method === "POST");
  assert.deepEqual(
    posts.map(({ headers }) => headers.authorization),
    ["Bearer t9"],
  );
  assert.equal(page.localStorage.getItem(PENDING), null);
});

for (const expires_in of ["soon", {}, -1, 0, null, true])
  test(`a token that is said to end in ${JSON.stringify(expires_in)} is not asked for again and again`, async (t) => {
    const hub = await openHub(t, { expires_in });
    let asked = 0;
    const client = createLogoutHub({ url: hub.url, token: () => `t${++asked}` });
    t.after(() => client.close());
    await reaches(client, "connected");
    await quietWhile();
    assert.ok(asked < 5, `${asked} tokens`);
  });

test("junk on the channel of tabs ends nothing, and a logout is still heard", async (t) => {
  const hub = await openHub(t);
  Object.assign(globalThis, { BroadcastChannel });
  t.after(() => Reflect.deleteProperty(globalThis, "BroadcastChannel"));
  const other = new BroadcastChannel("logout-hub");
  t.after(() => other.close());
  const client = createLogoutHub({ url: hub.url, token: "t1" });
  t.after(() => client.close());
  await reaches(client, "connected");
  for (const junk of [null, 7, "x", [], { sid: {} }, { sid: null }, { login: 1n }])
    other.postMessage(junk);
  await quietWhile();
  assert.equal(client.state, "connected");
  other.postMessage({ sid: "s1", notification: LOGOUT });
  await reaches(client, "ended");
});
