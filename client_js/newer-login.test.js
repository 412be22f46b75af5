/** A tab whose app has logged in anew meanwhile, in another tab: with the hub itself. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

// Node's own, taken before it is put away.
const { BroadcastChannel } = globalThis;
const { quietWhile, reaches, recorder, until } = await import("./support.js");
const { closePage, openPage } = await import("./support-page.js");
const { attach, createLogoutHub } = await import("./client.js");
const { lacksOwn, startOwn } = await import("./servers/own.js");
const { signToken } = await import("./servers/tokens.js");
const { io: connect } = await import("socket.io-client");

before(() => Object.assign(globalThis, { BroadcastChannel }));
after(() => Reflect.deleteProperty(globalThis, "BroadcastChannel"));

/** @typedef {import("node:test").TestContext} TestContext */
/** @typedef {() => string} Token what the app has, as its tabs share it */

/** @type {Record<string, (t: TestContext, url: string, token: Token) => import("./client.js").LogoutHub>} */
const KINDS = {
  createLogoutHub: (_, url, token) => createLogoutHub({ url, token }),
  "attach, with an auth function,"(t, url, token) {
    const auth = (/** @type {(data: object) => void} */ send) => send({ token: token() });
    const socket = connect(url, { forceNew: true, auth });
    t.after(() => socket.disconnect());
    return attach(socket);
  },
  "attach, with a token function,"(t, url, token) {
    const socket = connect(url, { forceNew: true, auth: { token: token() } });
    t.after(() => socket.disconnect());
    return attach(socket, { token });
  },
};

/** Two tabs of a browser: ada logged in as s1 in the older one and as s2 in the newer one, with
 * something in what they share.
 * @param {TestContext} t @param {string} kind of the older tab */
async function openTabs(t, kind) {
  const { port } = await startOwn(t);
  const url = `http://127.0.0.1:${port}`;
  const page = openPage();
  t.after(closePage);
  const tokens = { s1: signToken("ada", "s1"), s2: signToken("ada", "s2") };
  let token = tokens.s1;
  const older = KINDS[kind](t, url, () => token);
  t.after(() => older.close());
  await until("the older session", () => older.session === "s1" && older.state === "connected");
  token = tokens.s2;
  const newer = createLogoutHub({ url, token });
  t.after(() => newer.close());
  await reaches(newer, "connected");
  page.localStorage.setItem("draft", "of s2");

  /** @param {string} path @param {string} as @param {object} [body] */
  async function call(path, as, body) {
    const headers = { Authorization: `Bearer ${as}` };
    const init = body && { method: "POST", body: JSON.stringify(body) };
    return (await fetch(url + path, { headers, ...init })).status;
  }

  return {
    ...{ page, older, newer, call },
    /** @param {"s1" | "s2"} sid */
    lives: async (sid) => (await call("/session", tokens[sid])) === 200,
    /** Ada looks at the older tab, which learns that she has logged in anew. */
    async look() {
      page.setVisibility("visible");
      await until("the newer session", () => older.session === "s2");
      await reaches(older, "connected");
    },
  };
}

const options = { skip: process.env.CI ? false : lacksOwn() || false };

for (const kind of Object.keys(KINDS)) {
  test(`${kind} hears of no logout of the session it had before`, options, async (t) => {
    const { page, older, newer, lives, look } = await openTabs(t, kind);
    await look();
    await newer.logout({ scope: "others" });
    assert.equal(await lives("s1"), false);
    await quietWhile();
    assert.deepEqual([older.state, newer.state], ["connected", "connected"]);
    assert.deepEqual(page.localStorage.entries(), { draft: "of s2" });
    assert.equal(await lives("s2"), true);
  });

  test(`${kind} logs out the session that it has now`, options, async (t) => {
    const { older, newer, lives, look } = await openTabs(t, kind);
    await look();
    await older.logout({ scope: "session" });
    await reaches(newer, "ended");
    assert.deepEqual([await lives("s1"), await lives("s2")], [true, false]);
  });

  test(`${kind} hears that the session it has now was ended elsewhere`, options, async (t) => {
    const { older, newer, call, look } = await openTabs(t, kind);
    await look();
    newer.close();
    const told = recorder();
    older.on("logout", told);
    const phone = signToken("ada", "s3");
    const command = { scope: "session", sid: "s2", reason: "idle" };
    assert.equal(await call("/logout", phone, command), 200);
    await reaches(older, "ended");
    const [{ sid, reason }] = told.calls;
    assert.deepEqual({ sid, reason }, { sid: "s2", reason: "idle" });
  });

  test(
    `${kind} that ends before it has looked leaves the newer login alone`,
    options,
    async (t) => {
      const { page, older, newer, lives } = await openTabs(t, kind);
      await newer.logout({ scope: "others" });
      await reaches(older, "ended");
      await quietWhile();
      assert.equal(newer.state, "connected");
      assert.deepEqual(page.localStorage.entries(), { draft: "of s2" });
      assert.equal(await lives("s2"), true);
    },
  );
}
