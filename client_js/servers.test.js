/** What the client does with a server that is real: Node's socket.io, and the hub itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { io as connect } from "socket.io-client";
import { WebSocket } from "ws";
import { attach, createLogoutHub } from "./client.js";
import { startLink } from "./servers/link.js";
import { lacksOwn, startOwn } from "./servers/own.js";
import { startStock } from "./servers/stock.js";
import { signToken } from "./servers/tokens.js";
import { MemoryStorage, pause, quietWhile, reaches, recorder, until } from "./support.js";
import { TIMING } from "./tasks.js";

TIMING.poll = 500;
/** Where a logout without a network is kept. */
globalThis.localStorage = new MemoryStorage();

/** @typedef {import("node:test").TestContext} TestContext */
/** @typedef {import("./servers/own.js").Place} Place */
/** @typedef {import("./servers/link.js").Link} Link */
/** @typedef {import("./session.js").Options} Options */
/** @typedef {(t: TestContext, options?: Options & {headers?: Record<string, string>}) =>
 *   ReturnType<typeof startDevice>} Start starts another device of the same person */
/** @typedef {{server: Place, link: Link, user: string, start: Start}} Scene */

/** The headers that a browser would send, by the address they go to.
 * @type {Map<string, Record<string, string>>} */
const headersFor = new Map();
const plainFetch = globalThis.fetch;
globalThis.fetch = (address, init) => {
  const more = headersFor.get(new URL(String(address)).host);
  return plainFetch(address, { ...init, headers: { ...init?.headers, ...more } });
};
globalThis.WebSocket = /** @type {any} */ (
  class extends WebSocket {
    /** @param {string} address */
    constructor(address) {
      super(address, { headers: headersFor.get(new URL(address).host) });
    }
  }
);

/** @type {Record<string, (url: string, options: Options, headers?: Record<string, string>) =>
 *   {client: import("./client.js").LogoutHub, leave?: () => unknown}>} */
const KINDS = {
  createLogoutHub(url, options) {
    return { client: createLogoutHub({ url, ...options }) };
  },
  attach(url, { token, device, ...options }, headers) {
    const auth = typeof token === "function" ? undefined : { token, device };
    const socket = connect(url, {
      forceNew: true,
      transports: ["websocket"],
      auth: auth ?? (async (send) => send({ token: await /** @type {any} */ (token)(), device })),
      extraHeaders: headers,
    });
    return { client: attach(socket, options), leave: () => socket.disconnect() };
  },
};

/** @param {TestContext} t @param {string} kind @param {Link} link
 * @param {Options & {headers?: Record<string, string>}} options */
function startDevice(t, kind, link, { headers, ...options }) {
  if (headers) headersFor.set(new URL(link.url).host, headers);
  const storage = new MemoryStorage({ draft: "secret", theme: "dark" });
  const onLogout = recorder();
  const { client, leave } = KINDS[kind](
    link.url,
    { storages: [storage], keep: ["theme"], onLogout, ...options },
    headers,
  );
  const error = recorder();
  const states = recorder();
  client.on("error", error);
  client.on("state", states);
  t.after(() => {
    client.close();
    leave?.();
  });
  return { client, storage, told: onLogout.calls, errors: error.calls, states: states.calls };
}

/** @param {Awaited<ReturnType<typeof startDevice>>} device */
async function isOut({ client, storage, told }) {
  await reaches(client, "ended");
  await until("the app to be told", () => told.length > 0);
  assert.deepEqual(storage.entries(), { theme: "dark" });
  assert.equal(told.length, 1);
  return told[0];
}

/** @param {Awaited<ReturnType<typeof startDevice>>} device */
function isIn({ client, storage, told }) {
  assert.equal(client.state, "connected");
  assert.equal(storage.getItem("draft"), "secret");
  assert.deepEqual(told, []);
}

/** What any kind of client does. @type {Record<string, (t: TestContext, scene: Scene) => Promise<void>>} */
const SCENARIOS = {
  async "connects, and its device is known by name"(t, { server, user, start }) {
    const token = signToken(user, "s1");
    const { client } = start(t, { token, device: "Ada's phone" });
    await reaches(client, "connected");
    assert.deepEqual(await server.devices(token), ["Ada's phone"]);
  },

  async "a logout is cleared for, acknowledged, told once, and nothing is tried again"(t, scene) {
    const device = scene.start(t, { token: signToken(scene.user, "s1") });
    await reaches(device.client, "connected");
    const why = { reason: "password_changed", message: "Your password was changed" };
    assert.deepEqual(await scene.server.end(scene.user, why), ["acknowledged"]);
    const { scope, reason, message } = await isOut(device);
    assert.deepEqual({ scope, reason, message }, { scope: "all", ...why });
    const { asked } = scene.link;
    await quietWhile();
    assert.equal(scene.link.asked, asked);
    assert.equal(device.told.length, 1);
  },

  async "a hook that fails is no acknowledged clearing, and holds nothing up"(t, scene) {
    const clear = () => assert.fail("expected: the hook of this test throws");
    const device = scene.start(t, { token: signToken(scene.user, "s1"), clear });
    await reaches(device.client, "connected");
    await scene.server.end(scene.user, { reason: "policy" });
    assert.equal((await isOut(device)).reason, "policy");
  },

  async "logout() ends all devices of the person, and nobody else's"(t, { user, start }) {
    const [one, two, other] = [
      start(t, { token: signToken(user, "s1") }),
      start(t, { token: signToken(user, "s2") }),
      start(t, { token: signToken(`not ${user}`, "s3") }),
    ];
    for (const { client } of [one, two, other]) await reaches(client, "connected");
    assert.equal((await one.client.logout({ reason: "password_changed" })).scope, "all");
    assert.equal((await isOut(one)).reason, "password_changed");
    assert.equal((await isOut(two)).reason, "password_changed");
    isIn(other);
  },

  async "logout() of the others leaves this one in"(t, { user, start }) {
    const one = start(t, { token: signToken(user, "s1") });
    const two = start(t, { token: signToken(user, "s2") });
    for (const { client } of [one, two]) await reaches(client, "connected");
    await one.client.logout({ scope: "others" });
    assert.equal((await isOut(two)).scope, "others");
    isIn(one);
  },

  async "a revoked token is refused, clears, and says why"(t, { server, user, start }) {
    const token = signToken(user, "s1");
    const first = start(t, { token });
    await reaches(first.client, "connected");
    await server.end(user, { reason: "admin", message: "Call us" });
    const { reason, message } = await isOut(start(t, { token }));
    assert.deepEqual({ reason, message }, { reason: "admin", message: "Call us" });
  },

  async "an expired token is refused, and ends with the reason expired"(t, { user, start }) {
    const device = start(t, { token: signToken(user, "s1", -5) });
    assert.equal((await isOut(device)).reason, "expired");
  },

  async "an expired token is replaced by a fresh one, where there is a way to it"(t, scene) {
    const tokens = [signToken(scene.user, "s1", -5), signToken(scene.user, "s1")];
    const device = scene.start(t, {
      token: () => tokens.splice(0, tokens.length - 1)[0] ?? tokens[0],
    });
    await reaches(device.client, "connected");
    isIn(device);
  },

  async "a token that expires meanwhile ends the session"(t, { user, start }) {
    const device = start(t, { token: signToken(user, "s1", 6) });
    await reaches(device.client, "connected");
    assert.equal((await isOut(device)).reason, "expired");
  },

  async "a token that expires meanwhile is replaced, where there is a way to it"(t, scene) {
    const tokens = [signToken(scene.user, "s1", 6), signToken(scene.user, "s1")];
    const device = scene.start(t, {
      token: () => tokens.splice(0, tokens.length - 1)[0] ?? tokens[0],
    });
    await reaches(device.client, "connected");
    await pause(7000);
    await reaches(device.client, "connected");
    isIn(device);
  },

  async "an invalid token stops with an error, and clears nothing"(t, { start }) {
    const { client, storage, errors } = start(t, { token: "no token" });
    await until("the error", () => errors.length > 0);
    assert.equal(errors[0].code, "token_invalid");
    assert.equal(storage.getItem("draft"), "secret");
    assert.equal(client.state, "disconnected");
  },

  async "the cookie speaks for a page of an allowed origin"(t, { server, user, start }) {
    const cookie = `session=${signToken(user, "s1")}`;
    const device = start(t, { headers: { cookie, origin: "https://app.example" } });
    await reaches(device.client, "connected");
    assert.deepEqual(await server.end(user, { reason: "idle" }), ["acknowledged"]);
    assert.equal((await isOut(device)).reason, "idle");
  },

  async "the cookie is refused from another origin"(t, { user, start }) {
    const cookie = `session=${signToken(user, "s1")}`;
    const headers = { cookie, origin: "https://evil.example" };
    const { client, storage, errors } = start(t, { headers });
    await until("the error", () => errors.length > 0);
    assert.equal(errors[0].code, "origin_not_allowed");
    assert.equal(storage.getItem("draft"), "secret");
    assert.equal(client.state, "disconnected");
  },

  async "a broken connection is made anew, and hears the next logout"(t, scene) {
    const device = scene.start(t, { token: signToken(scene.user, "s1") });
    await reaches(device.client, "connected");
    scene.link.cut();
    await until("the loss to be noticed", () => device.states.includes("disconnected"));
    await reaches(device.client, "connected");
    isIn(device);
    await scene.server.end(scene.user, { reason: "user" });
    assert.equal((await isOut(device)).reason, "user");
  },

  async "a logout while the network was down is learnt when it is back"(t, scene) {
    const device = scene.start(t, { token: signToken(scene.user, "s1") });
    await reaches(device.client, "connected");
    scene.link.isDown = true;
    scene.link.cut();
    await until("the loss to be noticed", () => device.states.includes("disconnected"));
    await scene.server.end(scene.user, { reason: "identity_provider" });
    assert.deepEqual(device.told, []);
    scene.link.isDown = false;
    assert.equal((await isOut(device)).reason, "identity_provider");
  },
};

/** What the client with a WebSocket of its own does, whose logouts outlive a network.
 * @type {Record<string, (t: TestContext, scene: Scene) => Promise<void>>} */
const OFFLINE = {
  async "a logout without a network clears at once, and is delivered when it is back"(t, scene) {
    const one = scene.start(t, { token: signToken(scene.user, "s1") });
    await reaches(one.client, "connected");
    scene.link.isDown = true;
    scene.link.cut();
    const delivered = recorder();
    one.client.on("delivered", delivered);
    assert.equal((await one.client.logout()).pending, true);
    assert.equal((await isOut(one)).pending, true);
    scene.link.isDown = false;
    await until("the delivery", () => delivered.calls.length > 0);
    assert.equal(
      (await isOut(scene.start(t, { token: signToken(scene.user, "s1") }))).scope,
      "all",
    );
  },
};

/** What only a client does that has a server of its own to break.
 * @type {Record<string, (t: TestContext, scene: Omit<Scene, "user">) => Promise<void>>} */
const ALONE = {
  async "pings keep a connection, and one that went silent is made anew"(t, { link, start }) {
    const device = start(t, { token: signToken("ada", "s1") });
    await reaches(device.client, "connected");
    // On a busy machine there may still be attempts of its that began before it was connected.
    let asked = -1;
    for (let stretch = 0; asked !== link.asked && stretch < 20; stretch += 1) {
      ({ asked } = link);
      await quietWhile();
    }
    assert.equal(link.asked, asked);
    assert.deepEqual(device.states.slice(device.states.indexOf("connected")), ["connected"]);
    link.stall();
    await until("the silence to be noticed", () => device.states.includes("disconnected"));
    await reaches(device.client, "connected");
    isIn(device);
    link.cut(); // a server that stops would wait for the silent ones
  },

  async "a restarted server is found again"(t, { server, start }) {
    const device = start(t, { token: signToken("ada", "s1") });
    await reaches(device.client, "connected");
    const restarted = server.restart();
    await until("the loss to be noticed", () => device.states.includes("disconnected"));
    await restarted;
    await reaches(device.client, "connected");
    isIn(device);
    assert.deepEqual(await server.end("ada", { reason: "user" }), ["acknowledged"]);
    await isOut(device);
  },
};

/** What the client with a WebSocket of its own does where none gets through.
 * @type {Record<string, (t: TestContext, scene: Scene) => Promise<void>>} */
const POLLING = {
  async "where WebSockets are blocked, it polls, and a poll learns of the logout"(t, scene) {
    scene.link.blocksWebSockets = true;
    const device = scene.start(t, { token: signToken(scene.user, "s1") });
    await reaches(device.client, "polling");
    await scene.server.end(scene.user, { reason: "policy", message: "New terms" });
    const { reason, message } = await isOut(device);
    assert.deepEqual({ reason, message }, { reason: "policy", message: "New terms" });
  },

  async "where WebSockets are blocked, a fresh token is asked for when a poll says so"(t, scene) {
    scene.link.blocksWebSockets = true;
    let asked = 0;
    const [old, next] = [signToken(scene.user, "s1", 3), signToken(scene.user, "s1")];
    const device = scene.start(t, { token: () => (asked++ ? next : old) });
    await until("a fresh token to be asked for", () => asked > 1);
    await reaches(device.client, "polling");
    assert.deepEqual(device.told, []);
  },
};

/** @param {string} name @param {(t: TestContext, options?: any) => Promise<Place>} startServer
 * @param {string} [lacking] */
function holdTo(name, startServer, lacking) {
  if (lacking && process.env.CI) return test(name, () => assert.fail(lacking));
  let count = 0;
  return test(name, { skip: lacking || false, concurrency: 8 }, async (t) => {
    const shared = await startServer(t);
    /** @param {TestContext} t @param {string} kind @param {Place} server */
    async function sceneOf(t, kind, server) {
      const link = await startLink(t, server.port);
      count += 1;
      /** @type {Start} */
      const start = (t, options = {}) => startDevice(t, kind, link, options);
      return { server, link, user: `user-${count}`, start };
    }
    /** @type {Promise<void>[]} */
    const runs = [];
    for (const kind of Object.keys(KINDS)) {
      const shareable = {
        ...SCENARIOS,
        ...(kind === "createLogoutHub" && { ...OFFLINE, ...POLLING }),
      };
      for (const [what, run] of Object.entries(shareable))
        runs.push(t.test(`${kind}: ${what}`, async (t) => run(t, await sceneOf(t, kind, shared))));
      for (const [what, run] of Object.entries(ALONE))
        runs.push(
          t.test(`${kind}: ${what}`, async (t) => {
            const own = await startServer(t, { pings: { interval: 0.5, timeout: 10 } });
            await run(t, await sceneOf(t, kind, own));
          }),
        );
    }
    await Promise.all(runs);
  });
}

holdTo("Node's socket.io server", startStock);
holdTo("the hub", startOwn, lacksOwn());
