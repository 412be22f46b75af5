/** What a guard says, by a hub that tells it what a test wants. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MAX_UNFINISHED } from "./callbacks.js";
import { HubError } from "./errors.js";
import { Guard } from "./guard.js";
import {
  ADMIN,
  codeOf,
  pause,
  SECRET,
  sign,
  soon,
  startFakeHub,
  startGuard,
  TOKEN,
  until,
} from "./support.js";

/** @typedef {Awaited<ReturnType<typeof startFakeHub>>} Hub */

/** A token of Ada's. @param {Hub} hub @param {Record<string, unknown>} [claims] */
function tokenOf(hub, claims = {}) {
  const iat = hub.now() - 60;
  return sign({ sub: "ada", sid: "s1", iat, exp: iat + 600, ...claims });
}

test("a token is good until a logout ends its session, and others stay good", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const [first, second] = [tokenOf(hub), tokenOf(hub, { sid: "s2" })];
  const identity = await guard.check(first);
  assert.deepEqual([identity.user, identity.sid, identity.iss], ["ada", "s1", ""]);
  hub.end({ user: "ada", scope: "session", sid: "s1" });
  await until("the end", async () => (await codeOf(guard.check(first))) === "token_revoked");
  await guard.check(second);
  const refusal = await guard.check(first).catch((error) => error);
  assert.ok(refusal instanceof HubError);
  assert.equal(refusal.logout?.reason, "user");
});

test("what was in force before the guard came is known once it has started", async (t) => {
  const hub = await startFakeHub(t);
  hub.end({ user: "ada", sessions: ["s1"] });
  const guard = await startGuard(t, hub.url);
  assert.equal(guard.isReady, true);
  assert.equal(await codeOf(guard.check(tokenOf(hub))), "token_revoked");
  assert.equal(guard.sizes.revocations, 2);
});

test("a token that is forged, expired or of nobody's is refused", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const iat = hub.now() - 60;
  const forged = sign({ sub: "ada", iat, exp: iat + 600 }, "another secret that is long enough!");
  assert.equal(await codeOf(guard.check(forged)), "token_invalid");
  assert.equal(await codeOf(guard.check("x")), "token_invalid");
  assert.equal(await codeOf(guard.check(`${tokenOf(hub)}\r\n`)), "token_invalid");
  assert.equal(await codeOf(guard.check(tokenOf(hub, { exp: iat + 30 }))), "token_expired");
});

test("a session of the app's own is alive until its user logs out, and again after a login", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const loggedInAt = guard.now() - 5;
  await guard.checkSession("ada", "s1", loggedInAt);
  hub.end({ user: "ada" });
  const check = () => codeOf(guard.checkSession("ada", "s1", loggedInAt));
  await until("the end", async () => (await check()) === "token_revoked");
  await pause(10);
  await until(
    "the new login",
    async () => !(await codeOf(guard.checkSession("ada", "s1", guard.now()))),
  );
  const ages = guard.now() - 2_600_000;
  assert.equal(await codeOf(guard.checkSession("bob", "s1", ages)), "token_expired");
  assert.equal(await codeOf(guard.checkSession("", "s1", loggedInAt)), "token_invalid");
});

test("the time is the store's, whatever this machine thinks", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  assert.ok(Math.abs(guard.now() - hub.now()) < 10);
});

test("a watch ends with its session, and says why", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const watch = guard.watch("ada", "s1", { loggedInAt: guard.now() - 1 });
  const [other, vague] = [guard.watch("ada", "s2"), guard.watch("ada", "s1")];
  /** @type {any[]} */
  const told = [];
  watch.onEnd((ending) => told.push(ending));
  const { signal } = watch;
  hub.end({ user: "ada", scope: "session", sid: "s1", reason: "admin", message: "Bye" });
  const ending = await soon("the end", watch.ended);
  assert.deepEqual([ending?.reason, ending?.message], ["admin", "Bye"]);
  assert.equal((await soon("the end", vague.ended))?.reason, "admin");
  assert.equal(signal.aborted, true);
  assert.equal(signal.reason.code, "token_revoked");
  assert.equal(told.length, 1);
  watch.onEnd((late) => told.push(late));
  assert.equal(told.length, 2);
  assert.equal(guard.sizes.watches, 1);
  const cancelled = other.ended;
  other.cancel();
  assert.equal(await cancelled, undefined);
  assert.equal(guard.sizes.watches, 0);
});

test("a watch of a session that is over ends at once, and one of a later login does not", async (t) => {
  const hub = await startFakeHub(t);
  hub.end({ user: "ada", sessions: ["s1"], reason: "idle" });
  const guard = await startGuard(t, hub.url);
  const over = guard.watch("ada", "s1", { loggedInAt: guard.now() - 60 });
  assert.equal((await soon("the end", over.ended))?.reason, "idle");
  const later = guard.watch("ada", "s1", { loggedInAt: guard.now() + 1 });
  hub.end({ user: "bob" });
  hub.end({ user: "ada", scope: "others", sid: "s1" });
  await until("both", () => guard.sizes.revocations >= 4);
  assert.equal(later.signal.aborted, false);
});

test("a logout that was heard before a watch began does not end it, though it is not confirmed", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  hub.isConfirming = false;
  hub.end({ user: "ada" });
  await until("it", () => guard.sizes.revocations === 1);
  const watch = guard.watch("ada", "s2");
  assert.equal(guard.sizes.watches, 1);
  hub.end({ user: "ada", reason: "admin" });
  assert.equal((await soon("the end", watch.ended))?.reason, "admin");
});

test("whatever ends everybody ends every watch", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const watches = Array.from({ length: 50 }, (_, n) => guard.watch(`u${n}`, "s"));
  for (let partition = 0; partition < 16; partition += 1) hub.end({ partition, reason: "policy" });
  for (const watch of watches) assert.equal((await soon("it", watch.ended))?.reason, "policy");
});

test("each logout is told as it is heard, until that is not wanted any more", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  /** @type {string[]} */
  const heard = [];
  guard.onLogout(() => {
    throw new Error("the app's own");
  });
  const stop = guard.onLogout(({ user }) => heard.push(`${user}`));
  hub.end({ user: "ada" });
  await until("one", () => heard.length === 1);
  stop();
  hub.end({ user: "bob" });
  await until("the other", () => guard.sizes.revocations === 2);
  assert.deepEqual(heard, ["ada"]);
});

test("a feed that broke goes on where it stopped, at whichever address answers", async (t) => {
  const [hub, other] = [await startFakeHub(t), await startFakeHub(t)];
  const guard = await startGuard(t, [hub.url, other.url]);
  hub.end({ user: "ada" });
  await until("it", () => guard.sizes.revocations === 1);
  other.inForce = [...hub.inForce, { scope: "all", reason: "user", at: hub.now(), user: "bob" }];
  other.position = 2;
  hub.stop();
  await until("the other's", () => guard.sizes.revocations === 2);
  const { headers } = other.calls.filter(({ path }) => path === "/revocations")[0];
  assert.equal(headers["last-event-id"], "p1");
});

test("however many logouts were missed, a few are told at a time, and each is, in order", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const users = Array.from({ length: 2500 }, (_, n) => `u${n}`);
  /** @type {string[]} */
  const told = [];
  /** @type {string[]} */
  const toldLater = [];
  const gate = { open: () => {} };
  const opened = new Promise((resolve) => {
    gate.open = () => resolve(undefined);
  });
  let [inTurn, most, running, mostRunning] = [0, 0, 0, 0];
  guard.onLogout(({ user }) => {
    told.push(`${user}`);
    if (inTurn === 0) setImmediate(() => (inTurn = 0));
    inTurn += 1;
    most = Math.max(most, inTurn);
  });
  guard.onLogout(async ({ user }) => {
    running += 1;
    mostRunning = Math.max(mostRunning, running);
    toldLater.push(`${user}`);
    await opened;
    running -= 1;
  });
  hub.goesOn = () => false;
  hub.inForce = users.map((user) => ({ scope: "all", reason: "user", at: hub.now(), user }));
  hub.cut();
  await until("all to be known", () => guard.sizes.revocations === users.length);
  hub.end({ user: "last" });
  await until("the last", () => told.at(-1) === "last");
  assert.deepEqual(told, [...users, "last"]);
  assert.ok(most <= 40, `${most} in one turn`);
  assert.equal(running, MAX_UNFINISHED);
  assert.equal(toldLater.length, MAX_UNFINISHED);
  gate.open();
  await until("the last", () => toldLater.at(-1) === "last");
  assert.deepEqual(toldLater, [...users, "last"]);
  assert.equal(mostRunning, MAX_UNFINISHED);
});

test("what waits for a function that has unsubscribed is told no more", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const gate = { open: () => {} };
  const opened = new Promise((resolve) => {
    gate.open = () => resolve(undefined);
  });
  let [calls, others] = [0, 0];
  const stop = guard.onLogout(() => {
    calls += 1;
    return opened;
  });
  guard.onLogout(() => (others += 1));
  for (let n = 0; n < MAX_UNFINISHED + 10; n += 1) hub.end({ user: `u${n}` });
  await until("all of them", () => others === MAX_UNFINISHED + 10);
  stop();
  gate.open();
  hub.end({ user: "last" });
  await until("one more", () => others === MAX_UNFINISHED + 11);
  assert.equal(calls, MAX_UNFINISHED);
});

test("after a reset nothing is forgotten, and what was missed ends watches and is told once", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  /** @type {string[]} */
  const told = [];
  guard.onLogout(({ user }) => told.push(`${user}`));
  const known = hub.end({ user: "ada" });
  const watch = guard.watch("carol", "s1");
  await until("it", () => guard.sizes.revocations === 1);
  hub.goesOn = () => false;
  const at = hub.now();
  hub.inForce = ["bob", "carol", "dave"].map((user) => ({
    scope: "all",
    reason: "user",
    at,
    user,
  }));
  hub.cut();
  assert.equal((await soon("Carol's end", watch.ended))?.reason, "user");
  assert.equal(guard.sizes.revocations, 4);
  assert.equal(await codeOf(guard.check(tokenOf(hub))), "token_revoked");
  hub.inForce.push(known);
  hub.cut();
  await until("the next snapshot", () => hub.streams.size === 1);
  hub.end({ user: "eve" });
  await until("Eve", () => told.includes("eve"));
  assert.deepEqual(told, ["ada", "bob", "carol", "dave", "eve"]);
});

test("a guard that does not hear from the hub asks it, and refuses when it cannot", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, { maxStaleness: 0.5 });
  const token = tokenOf(hub);
  /** @type {boolean[]} */
  const stale = [];
  guard.onStale((isStale) => stale.push(isStale));
  await guard.check(token);
  hub.isConfirming = false;
  await until("staleness", () => stale.includes(true));
  assert.ok(guard.staleness > 0.5);
  await guard.check(token);
  await guard.checkSession("ada", "s1", guard.now());
  assert.equal(hub.calls.filter(({ path }) => path === "/verify").length, 2);
  hub.verify = () => [401, { code: "token_revoked", at: 5, reason: "admin", scope: "all" }];
  const refusal = await guard.check(token).catch((error) => error);
  assert.deepEqual([refusal.code, refusal.logout.reason], ["token_revoked", "admin"]);
  hub.verify = () => [500];
  assert.equal(await codeOf(guard.check(token)), "unavailable");
  hub.isConfirming = true;
  await until("freshness", () => stale.at(-1) === false);
  await guard.check(token);
});

test("a guard that was never told how long is remembered vouches for no old session", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, { token: "wrong", startTimeout: 0.1 });
  const daysAgo = (/** @type {number} */ days) => Date.now() / 1000 - days * 86_400;
  assert.equal(await codeOf(guard.checkSession("ada", "s1", daysAgo(31))), "unavailable");
  assert.equal(hub.calls.filter(({ path }) => path === "/verify").length, 0);
  await guard.checkSession("ada", "s1", daysAgo(29));
});

test("what a stale guard knows to be over it refuses without asking", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, { maxStaleness: 0.5 });
  hub.end({ user: "ada" });
  await until("it", () => guard.sizes.revocations === 1);
  hub.stop();
  await until("staleness", () => guard.staleness > 0.5);
  assert.equal(await codeOf(guard.check(tokenOf(hub))), "token_revoked");
  assert.equal(await codeOf(guard.check(tokenOf(hub, { sub: "bob" }))), "unavailable");
});

test("on_stale says whether a guard without a hub refuses or lets in", async (t) => {
  const url = "http://127.0.0.1:9";
  const now = Date.now() / 1000;
  const [good, over] = [30, -30].map((left) =>
    sign({ sub: "ada", iat: now - 60, exp: now + left }),
  );
  const options = { startTimeout: 0.3 };
  const refusing = await startGuard(t, url, { ...options, onStale: "refuse" });
  assert.equal(await codeOf(refusing.check(good)), "unavailable");
  assert.equal(refusing.staleness, Number.POSITIVE_INFINITY);
  assert.throws(() => refusing.now(), HubError);
  assert.match(refusing.told.join("\n"), /cannot follow the logouts of http:.*ECONNREFUSED/);
  assert.match(
    refusing.told.join("\n"),
    /not ready yet, revocations are unknown: onStale="refuse" applies/,
  );
  const allowing = await startGuard(t, url, { ...options, onStale: "allow" });
  await allowing.check(good);
  assert.equal(await codeOf(allowing.check(over)), "token_expired");
  const asking = await startGuard(t, url, options);
  assert.equal(await codeOf(asking.check(good)), "unavailable");
});

test("a guard with the wrong token says so", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, { token: "wrong", startTimeout: 0.3 });
  assert.equal(guard.isReady, false);
  assert.match(guard.told[0], /answered 401 \(is the token that of HUB_GUARD_TOKEN\?\)/);
});

test("a guard that came before the hub is ready once the hub is there", async (t) => {
  const gone = await startFakeHub(t);
  gone.stop();
  const guard = await startGuard(t, gone.url, { startTimeout: 0.1 });
  assert.equal(guard.isReady, false);
  await startFakeHub(t, gone.port);
  await until("the hub", () => guard.isReady);
  assert.match(guard.told.at(-1) ?? "", /^following the logouts/);
});

test("the hub is asked once about a token of the very second of a logout", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const second = Math.floor(hub.now()) - 5;
  const token = tokenOf(hub, { iat: second, exp: second + 600 });
  hub.end({ user: "ada", at: second + 0.5 });
  await until("it", () => guard.sizes.revocations === 1);
  await Promise.all([guard.check(token), guard.check(token)]);
  await guard.check(token);
  const asked = () => hub.calls.filter(({ path }) => path === "/verify").length;
  assert.equal(asked(), 1);
  hub.verify = () => [401, { code: "token_too_old" }];
  hub.end({ user: "ada", at: second + 0.7 });
  await until("the refusal", async () => (await codeOf(guard.check(token))) === "token_too_old");
  const refusing = await startGuard(t, hub.url, { onStale: "refuse" });
  assert.equal(await codeOf(refusing.check(token)), "token_too_old");
});

test("a question from before a logout is not joined after it", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const second = Math.floor(hub.now()) - 5;
  const token = tokenOf(hub, { iat: second, exp: second + 600 });
  hub.end({ user: "ada", at: second + 0.5 });
  await until("it", () => guard.sizes.revocations === 1);
  const heard = new Promise((resolve) => guard.onLogout(resolve));
  // The hub accepts it, and then a logout is written and heard before the answer is.
  const first = guard.check(token);
  const again = heard.then(() => guard.check(token));
  hub.verify = () => {
    hub.verify = () => [401, { code: "token_revoked" }];
    hub.end({ user: "ada", at: second + 0.7 });
    return heard.then(() => pause(50)).then(() => [204]);
  };
  const codes = await Promise.all([codeOf(first), codeOf(again)]);
  assert.deepEqual(codes, ["token_revoked", "token_revoked"]);
  assert.equal(await codeOf(guard.check(token)), "token_revoked");
});

test("a ticket is a token of the session, with the time of its login", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, {
    issuers: [{ iss: "https://app.example", secret: SECRET, audience: ["hub", "app"] }],
  });
  // Milliseconds: of half a microsecond there are two roundings.
  const loginTime = Math.floor(guard.now() * 1000) / 1000 - 90;
  const ticket = await guard.mintTicket("ada", "s1", { loginTime, name: "Ada" });
  const { iss, user, sid, loginAt, iat, exp } = await guard.check(ticket);
  assert.deepEqual([iss, user, sid], ["https://app.example", "ada", "s1"]);
  assert.equal(loginAt, Math.round(loginTime * 1e6));
  assert.equal(exp - iat, 300e6);
});

test("an app ends sessions at the hub as an administrator", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, { adminToken: ADMIN });
  assert.deepEqual(await guard.endSession("ada", "s1", { reason: "idle" }), { id: "l-1" });
  const { path, headers, body } = hub.calls.at(-1) ?? assert.fail();
  assert.deepEqual([path, headers.authorization], ["/admin/logout", `Bearer ${ADMIN}`]);
  assert.deepEqual(JSON.parse(body), {
    user: "ada",
    sid: "s1",
    scope: "session",
    reason: "idle",
  });
  hub.stop();
  assert.equal(await codeOf(guard.endSession("ada", "s1")), "unavailable");
});

test("options that make no sense are refused", () => {
  const url = "https://hub.example";
  assert.throws(() => new Guard(url, { token: "" }), /token/);
  for (const maxStaleness of [0, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => new Guard(url, { token: TOKEN, maxStaleness }), /maxStaleness/);
  const onStale = /** @type {any} */ ("ignore");
  assert.throws(() => new Guard(url, { token: TOKEN, onStale }), /onStale/);
  assert.throws(() => new Guard(url, { token: TOKEN, secret: "short" }), /at least 32 bytes/);
});

test("a guard is made from the environment as the hub is", async (t) => {
  const hub = await startFakeHub(t);
  const environ = { HUB_URL: `${hub.url}, http://127.0.0.1:9`, HUB_GUARD_TOKEN: TOKEN };
  const all = { ...environ, HUB_JWT_SECRET: SECRET, HUB_JWT_ISSUER: "https://a.example" };
  const guard = Guard.fromEnviron(all, { startTimeout: 10 });
  t.after(() => guard.close());
  await guard.start();
  assert.equal((await guard.check(tokenOf(hub, { iss: "https://a.example" }))).user, "ada");
  assert.equal(await codeOf(guard.check(tokenOf(hub))), "token_invalid");
  for (const [wrong, message] of /** @type {const} */ ([
    [{ HUB_URL: "" }, /HUB_URL is not set/],
    [{ HUB_URL: "hub" }, /url: hub/],
    [{ HUB_URL: "https://hub.example/?x" }, /url: https/],
    [{ HUB_URL: "https://a:b@hub.example" }, /url: https/],
    [{ HUB_GUARD_TOKEN: undefined }, /HUB_GUARD_TOKEN is not set/],
    [{ HUB_GUARD_ON_STALE: "x" }, /onStale/],
    [{ HUB_GUARD_MAX_STALENESS: "x" }, /HUB_GUARD_MAX_STALENESS/],
    [{ HUB_ISSUERS: "issuers.toml" }, /HUB_ISSUERS/],
    [{ HUB_JWT_PUBLIC_KEY: "/nowhere" }, /HUB_JWT_PUBLIC_KEY/],
  ]))
    assert.throws(() => Guard.fromEnviron({ ...environ, ...wrong }), message);
});

test("a session is that of an issuer, which must be named if there are several", async (t) => {
  const hub = await startFakeHub(t);
  const issuers = ["a", "b"].map((name) => ({
    iss: `https://${name}.example`,
    aliases: [name],
    secret: SECRET,
  }));
  const guard = await startGuard(t, hub.url, { issuers, adminToken: ADMIN });
  hub.end({ user: "ada", iss: "https://b.example" });
  await until("it", () => guard.sizes.revocations === 1);
  const at = guard.now() - 60;
  assert.equal(await codeOf(guard.checkSession("ada", "s1", at)), "invalid_request");
  await guard.checkSession("ada", "s1", at, { issuer: "a" });
  const { userKey } = await guard.checkSession("ada", "s1", at, { issuer: "https://a.example" });
  assert.equal(userKey, "https%3A%2F%2Fa.example|ada");
  assert.equal(await codeOf(guard.checkSession("ada", "s1", at, { issuer: "b" })), "token_revoked");
  await guard.endSession("ada", "s1", { issuer: "b" });
  assert.equal(JSON.parse(hub.calls.at(-1)?.body ?? "").iss, "https://b.example");
  const ticket = await guard.mintTicket("ada", "s2", { issuer: "https://a.example" });
  assert.equal((await guard.check(ticket)).iss, "https://a.example");
});

test("what functions of an app throw or reject with is logged, and keeps no other from being told", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  const fail = () => assert.fail("oops");
  const reject = async () => assert.fail("oops, later");
  const watch = guard.watch("ada", "s1", { loggedInAt: guard.now() - 1 });
  for (const tell of [fail, reject]) {
    guard.onLogout(tell);
    watch.onEnd(tell);
  }
  const told = new Promise((resolve) => watch.onEnd(resolve));
  hub.end({ user: "ada" });
  await soon("the end", told);
  watch.onEnd(fail);
  await until("all of them", () => guard.told.filter((text) => /oops/.test(text)).length === 5);
});

test("a function that comes while others are told is told of the next logout, and goes alone", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  /** @type {string[]} */
  const told = [];
  const tell = (/** @type {{user?: string | null}} */ { user }) => {
    told.push(`${user}`);
    off();
    off = guard.onLogout(tell);
  };
  let off = guard.onLogout(tell);
  const offAgain = guard.onLogout(tell);
  offAgain();
  offAgain();
  hub.end({ user: "ada" });
  hub.end({ user: "bob" });
  await until("both", () => told.length === 2);
  assert.deepEqual(told, ["ada", "bob"]);
});

test("to ask a watch for its end again and again leaves nothing behind", async (t) => {
  const hub = await startFakeHub(t);
  const watch = (await startGuard(t, hub.url)).watch("ada", "s1");
  assert.equal(watch.ended, watch.ended);
  watch.cancel();
  assert.equal(await watch.ended, undefined);
});

test("an answer of the hub that is too old when it is read lets nobody in", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, { maxStaleness: 0.5 });
  hub.isConfirming = false;
  await until("staleness", () => guard.staleness > 0.5);
  let asked = 0;
  hub.verify = async () => {
    asked += 1;
    await pause(asked === 1 ? 700 : 0);
    return [204];
  };
  await guard.check(tokenOf(hub));
  assert.ok(asked >= 2);
  hub.verify = () => pause(700).then(() => [204]);
  assert.equal(await codeOf(guard.check(tokenOf(hub))), "unavailable");
});

test("an address at which there is no hub keeps nobody from asking the next one", async (t) => {
  const hub = await startFakeHub(t);
  const wrong = await startFakeHub(t);
  wrong.verify = () => [404, { error: "some other server" }];
  const guard = await startGuard(t, [wrong.url, hub.url], { token: "x", startTimeout: 0.1 });
  // Which one is asked first changes as the guard tries one feed after the other.
  await until("the wrong one to be asked", async () => {
    await guard.check(tokenOf(hub));
    return wrong.calls.some(({ path }) => path === "/verify");
  });
});

test("what asks the hub about one session at once asks once", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url, { token: "x", startTimeout: 0.1 });
  const at = Date.now() / 1000 - 60;
  const check = () => guard.checkSession("ada", "s1", at);
  const asked = () => hub.calls.filter(({ path }) => path === "/verify").length;
  let release = () => {};
  hub.verify = () =>
    new Promise((resolve) => {
      release = () => resolve([204]);
    });
  // All at once: a question that is a second old is asked again, and a busy machine takes longer.
  const checks = [check(), check(), check()];
  await until("the question", () => asked() === 1);
  await pause(20);
  release();
  await Promise.all(checks);
  assert.equal(asked(), 1);
});

test("a reason that only a newer hub knows ends a watch as a policy does", async (t) => {
  const hub = await startFakeHub(t);
  const watch = (await startGuard(t, hub.url)).watch("ada", "s1");
  hub.end({ user: "ada", reason: "x".repeat(200) });
  assert.equal((await soon("the end", watch.ended))?.reason, "policy");
});

test("what a guard measures has the names that the page lists", async (t) => {
  const hub = await startFakeHub(t);
  /** @type {Map<string, number[]>} */
  const measured = new Map();
  const onMetric = (/** @type {string} */ name, /** @type {number} */ value) => {
    measured.set(name, [...(measured.get(name) ?? []), value]);
    throw new Error("of the app");
  };
  hub.end({ user: "bob" });
  hub.goesOn = () => false;
  const guard = await startGuard(t, hub.url, { onMetric, maxStaleness: 0.5 });
  hub.cut();
  await until("the next connection", () => measured.get("revocations")?.length === 2);
  hub.isConfirming = false;
  await until("staleness", () => guard.staleness > 0.5);
  await guard.check(tokenOf(hub));
  hub.verify = () => [500];
  assert.equal(await codeOf(guard.check(tokenOf(hub, { sid: "s2" }))), "unavailable");
  const page = readFileSync(new URL("../docs/reference/guard-js.md", import.meta.url), "utf8");
  const listed = page
    .split("### Metrics")[1]
    .split("\n## ")[0]
    .matchAll(/^\| `(\w+)`/gm);
  assert.deepEqual([...measured.keys()].sort(), [...listed].map(([, name]) => name).sort());
  assert.deepEqual(measured.get("revocations"), [1, 1]);
  assert.deepEqual(
    ["resets", "connects"].map((name) => measured.get(name)?.length),
    [1, 2],
  );
  assert.deepEqual(
    ["ask_seconds", "asks_failed"].map((name) => measured.get(name)?.length),
    [1, 1],
  );
});
