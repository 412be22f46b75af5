/** How the feed is followed: compressed, interrupted, silent. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { test } from "node:test";
import { promisify } from "node:util";
import { constants, createGzip } from "node:zlib";
import { TIMING } from "./feed.js";
import { soon, startFakeHub, startGuard, TOKEN, until } from "./support.js";

/** @param {import("node:test").TestContext} t
 * @param {import("node:http").RequestListener} listener */
async function serve(t, listener) {
  const server = createServer(listener);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return `http://127.0.0.1:${port}`;
}

const READY = 'event: ready\nid: p1\ndata: {"at":5,"elapsed":0,"partitions":16,"lifetime":99}\n\n';

test("a feed is read as it comes, also compressed", async (t) => {
  const told = JSON.stringify({ scope: "all", reason: "user", at: 5, user: "ada" });
  /** @type {import("node:zlib").Gzip[]} */
  const streams = [];
  const url = await serve(t, ({ headers }, response) => {
    assert.equal(headers["accept-encoding"], "gzip");
    response.writeHead(200, { "Content-Encoding": "gzip" });
    const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
    gzip.pipe(response);
    gzip.write(READY);
    streams.push(gzip);
  });
  const guard = await startGuard(t, url);
  assert.equal(guard.isReady, true);
  streams[0].write(`event: logout\ndata: ${told}\n\n`);
  await until("the logout", () => guard.sizes.revocations === 1);
  streams[0].destroy();
});

test("a stream that says nothing, is nonsense or ends early is given up for another", async (t) => {
  t.after(() => Object.assign(TIMING, { silence: 3000, firstSilence: 12_000 }));
  Object.assign(TIMING, { silence: 300, firstSilence: 500 });
  let turn = 0;
  const bodies = [
    "retry: 1000\n\n",
    `${READY}`,
    `${READY}event: logout\ndata: nonsense\n\n`,
    `${READY}event: confirmed\ndata: {}\n\n`,
    `data: ${"x".repeat(100)}`,
  ];
  const strange = await serve(t, (_, response) => {
    response.writeHead(200);
    response.write(bodies[turn] ?? "");
    turn += 1;
    if (turn >= bodies.length) response.end();
  });
  await startGuard(t, strange, { startTimeout: 0 });
  await until("all of them", () => turn > bodies.length);
});

test("the hourly end of a response is no trouble", async (t) => {
  const hub = await startFakeHub(t);
  const guard = await startGuard(t, hub.url);
  for (const response of hub.streams.keys()) response.end();
  await until("the next response", () => hub.calls.length === 2);
  hub.end({ user: "ada" });
  await until("the logout", () => guard.sizes.revocations === 1);
  assert.deepEqual(guard.told, []);
});

test("a process ends although its guard is open, and says what a closed one does", async (t) => {
  const hub = await startFakeHub(t);
  const script = `
    import { Guard } from ${JSON.stringify(new URL("./index.js", import.meta.url).href)};
    const guard = new Guard(${JSON.stringify(hub.url)}, { token: ${JSON.stringify(TOKEN)} });
    console.log(await guard.start(), guard.isReady);
    if (process.argv[1] === "close") guard.close();
  `;
  const run = promisify(execFile);
  for (const what of ["open", "close"]) {
    const child = run("node", ["--input-type=module", "--eval", script, what]);
    assert.equal((await soon("its end", child)).stdout, "true true\n");
  }
});
