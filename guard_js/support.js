/** What the tests share: a hub that says what a test wants, and patient waiting. */
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { Guard } from "./guard.js";

/** @typedef {import("node:test").TestContext} TestContext */
/** @typedef {import("node:http").ServerResponse} ServerResponse */
/** @typedef {[status: number, problem?: object]} Answer to `/verify` */

export const SECRET = "a secret for the tests of guards that is long enough";
export const TOKEN = "a guard's token for tests";
export const ADMIN = "an administrator's token for tests";
/** The store's time is wrong by an hour here, or rather every other clock is. */
const AHEAD = 3600;

/** A generous bound: it tells a hang from slowness, and asserts no speed. */
const PATIENCE_MS = 60_000;

/** @param {string} what @param {() => unknown} fact */
export async function until(what, fact) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await fact())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await pause(10);
  }
}

/** @template T @param {string} what @param {Promise<T>} event @returns {Promise<T>} */
export function soon(what, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
    event.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** @param {number} ms */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The code that a promise is refused with, or undefined. @param {Promise<unknown>} promise */
export const codeOf = (promise) =>
  promise.then(
    () => undefined,
    (error) => error.code ?? error,
  );

/** @param {unknown} part */
const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");

/** @param {Record<string, unknown>} claims @param {string} [secret] */
export function sign(claims, secret = SECRET) {
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** The headers of a request of Ada's. @param {{now: () => number}} hub
 * @param {Record<string, unknown>} [claims] */
export function bearer(hub, claims) {
  const iat = hub.now() - 60;
  return {
    Authorization: `Bearer ${sign({ sub: "ada", sid: "s1", iat, exp: iat + 600, ...claims })}`,
  };
}

/** A hub's feed, `GET /verify` and `POST /admin/logout`, as hub/core/feed.py describes it.
 * @param {TestContext} t */
export async function startFakeHub(t, port = 0) {
  /** @type {{path: string, headers: import("node:http").IncomingHttpHeaders, body: string}[]} */
  const calls = [];
  /** @type {Map<ServerResponse, number>} when each stream was asked for */
  const streams = new Map();
  /** @param {ServerResponse} response @param {string} event @param {object} data @param {string} [id] */
  const write = (response, event, data, id) =>
    response.write(`event: ${event}\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`);
  const hub = {
    calls,
    streams,
    url: "",
    isConfirming: true,
    /** What is in force. @type {object[]} */
    inForce: [],
    position: 0,
    /** @type {(token: string) => Answer | Promise<Answer>} */
    verify: () => [204],
    /** @type {(lastId: string) => boolean} whether a feed can go on there */
    goesOn: () => true,
    now: () => Date.now() / 1000 + AHEAD,
    /** Tell of a logout. @param {Record<string, unknown>} logout */
    end(logout) {
      hub.position += 1;
      const told = { scope: "all", reason: "user", at: hub.now(), ...logout };
      hub.inForce.push(told);
      for (const response of streams.keys()) write(response, "logout", told, `p${hub.position}`);
      return told;
    },
    confirm() {
      if (!hub.isConfirming) return;
      for (const [response, asked] of streams)
        write(response, "confirmed", {
          at: hub.now(),
          elapsed: (performance.now() - asked) / 1000,
        });
    },
    cut() {
      for (const response of streams.keys()) response.destroy();
    },
  };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { url: path = "", headers } = request;
    calls.push({ path, headers, body });
    const bearer = headers.authorization?.slice(7) ?? "";
    if (path === "/revocations")
      return follow(bearer, `${headers["last-event-id"] ?? ""}`, response);
    const [status, answer] = path === "/verify" ? await hub.verify(bearer) : [200, { id: "l-1" }];
    response.writeHead(status).end(answer && JSON.stringify(answer));
  });
  /** @param {string} bearer @param {string} lastId @param {ServerResponse} response */
  function follow(bearer, lastId, response) {
    if (bearer !== TOKEN) return response.writeHead(401).end('{"code":"token_invalid"}');
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("retry: 1000\n\n");
    const asked = performance.now();
    if (!lastId || !hub.goesOn(lastId)) {
      if (lastId) write(response, "reset", { reason: "a test" });
      write(response, "snapshot", { revocations: hub.inForce });
      const told = { at: hub.now(), elapsed: 0, partitions: 16, lifetime: 2_592_000 };
      write(response, "ready", told, `p${hub.position}`);
    } else {
      for (const told of hub.inForce.slice(Number(lastId.slice(1))))
        write(response, "logout", told);
      write(response, "confirmed", { at: hub.now(), elapsed: 0 });
    }
    streams.set(response, asked);
    response.on("close", () => streams.delete(response));
  }
  await new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(undefined)));
  const timer = setInterval(hub.confirm, 100);
  const stop = () => {
    clearInterval(timer);
    server.close();
    server.closeAllConnections();
  };
  t.after(stop);
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  hub.url = `http://127.0.0.1:${address.port}`;
  return Object.assign(hub, { stop, port: address.port });
}

/** A guard that has started. @param {TestContext} t @param {string | string[]} url
 * @param {Partial<import("./options.js").Options>} [options] */
export async function startGuard(t, url, options = {}) {
  /** @type {string[]} */
  const told = [];
  const log = (/** @type {string} */ text) => told.push(text);
  const guard = new Guard(url, { token: TOKEN, secret: SECRET, log, ...options });
  t.after(() => guard.close());
  await guard.start();
  return Object.assign(guard, { told });
}
