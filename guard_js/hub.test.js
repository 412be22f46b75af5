/** A guard, and the example with Express, beside the hub itself. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { request } from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ADMIN, lacksOwn, startOwn } from "../client_js/servers/own.js";
import { SECRET, signToken } from "../client_js/servers/tokens.js";
import { codeOf, soon, startGuard, TOKEN, until } from "./support.js";
import { readText } from "./transport.js";

const skip = lacksOwn() || false;
const settings = { HUB_GUARD_TOKEN: TOKEN };
const EXAMPLE = fileURLToPath(new URL("../examples/express/server.js", import.meta.url));

/** @param {string} url @param {string} path @param {string} token @param {object} [body] */
async function post(url, path, token, body = {}) {
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
}

/** A browser without scripts: it keeps the cookie of its session. @param {string} url */
function openBrowser(url) {
  let cookie = "";
  /** @param {string} path @param {string} [form] */
  return async (path, form) => {
    /** @type {import("node:http").IncomingMessage} */
    const answer = await new Promise((resolve, reject) => {
      const headers = {
        Accept: "text/html",
        Cookie: cookie,
        ...(form === undefined ? {} : { "Content-Type": "application/x-www-form-urlencoded" }),
      };
      const method = form === undefined ? "GET" : "POST";
      request(url + path, { agent: false, method, headers }, resolve)
        .on("error", reject)
        .end(form);
    });
    cookie = answer.headers["set-cookie"]?.[0].split(";")[0] ?? cookie;
    return { status: answer.statusCode, to: answer.headers.location, text: await readText(answer) };
  };
}

test("beside the hub itself", { skip }, async (t) => {
  const { port } = await startOwn(t, { settings });
  const hub = `http://127.0.0.1:${port}`;

  await t.test("a stale guard asks the hub, about its own sessions too", async (t) => {
    const options = { token: "wrong", secret: SECRET, startTimeout: 0, log: () => undefined };
    const guard = await startGuard(t, hub, options);
    const [token, now] = [signToken("eve", "s1"), Date.now() / 1000];
    await guard.check(token);
    await guard.checkSession("eve", "own", now - 60);
    await post(hub, "/logout", token);
    assert.equal(await codeOf(guard.check(token)), "token_revoked");
    assert.equal(await codeOf(guard.checkSession("eve", "own", now - 60)), "login_required");
  });

  await t.test(
    "examples/express: a logout in the app ends the hub's session, and the other way round",
    async (t) => {
      const server = spawn("node", [EXAMPLE], {
        stdio: ["ignore", "pipe", "inherit"],
        env: {
          PATH: process.env.PATH,
          PORT: "0",
          APP_SECRET: "a secret of the app",
          HUB_URL: hub,
          HUB_GUARD_TOKEN: TOKEN,
          HUB_JWT_SECRET: SECRET,
          HUB_ADMIN_TOKEN: ADMIN,
        },
      });
      t.after(() => server.kill());
      const line = await soon(
        "the app",
        new Promise((resolve) => server.stdout.once("data", resolve)),
      );
      const url = `${line}`.trim();
      const [laptop, phone, bobs] = [openBrowser(url), openBrowser(url), openBrowser(url)];
      assert.equal((await laptop("/")).to, "/login?next=%2F");
      for (const [browser, user] of /** @type {const} */ ([
        [laptop, "ada"],
        [phone, "ada"],
        [bobs, "<b>ob"],
      ])) {
        assert.equal((await browser("/login", `user=${user}`)).to, "/");
        const { status, text } = await browser("/");
        assert.deepEqual(
          [status, /Account of (.*)</.exec(text)?.[1]],
          [200, user.replace("<", "&#60;").replace(">", "&#62;")],
        );
      }
      const ticket = (await phone("/ticket")).text;
      const verify = async () => {
        const headers = { Authorization: `Bearer ${ticket}` };
        return (await fetch(`${hub}/verify`, { headers })).status;
      };
      assert.equal(await verify(), 204);
      assert.equal((await phone("/logout", "")).to, "/login");
      assert.equal(await verify(), 401);
      assert.equal((await phone("/")).to, "/login?next=%2F");
      assert.equal((await laptop("/")).status, 200);
      await post(hub, "/admin/logout", ADMIN, { user: "ada", reason: "suspicious" });
      await until("the end", async () => (await laptop("/")).status === 303);
      assert.equal((await laptop("/login", "user=ada")).to, "/");
      assert.equal((await laptop("/")).status, 200);
      assert.equal((await bobs("/")).status, 200);
    },
  );

  await t.test(
    "a guard refuses what the hub has ended, and knows it after a restart of its own",
    async (t) => {
      const guard = await startGuard(t, hub, { secret: SECRET, adminToken: ADMIN });
      assert.deepEqual(guard.told, []);
      const [laptop, phone, other] = [
        signToken("ada", "s1"),
        signToken("ada", "s2"),
        signToken("bob", "s1"),
      ];
      for (const token of [laptop, phone, other]) await guard.check(token);
      const loggedInAt = guard.now();
      await guard.checkSession("ada", "own", loggedInAt);
      const watch = guard.watch("ada", "s2");
      await post(hub, "/logout", laptop, { scope: "session" });
      await until("the end", async () => (await codeOf(guard.check(laptop))) === "token_revoked");
      await guard.check(phone);
      await guard.endSession("ada", "s2", { reason: "idle" });
      assert.equal((await soon("the end", watch.ended))?.reason, "idle");
      await post(hub, "/admin/logout", ADMIN, { user: "ada", reason: "suspicious" });
      const checkOwn = (/** @type {typeof guard} */ one) =>
        codeOf(one.checkSession("ada", "own", loggedInAt));
      await until("the end", async () => (await checkOwn(guard)) === "token_revoked");
      await guard.check(other);
      const next = await startGuard(t, hub, { secret: SECRET });
      assert.equal(await checkOwn(next), "token_revoked");
      for (const token of [laptop, phone])
        assert.equal(await codeOf(next.check(token)), "token_revoked");
      await next.check(other);
      const watched = next.watch("bob", "s1", { loggedInAt: next.now() - 60 });
      await post(hub, "/admin/logout", ADMIN, { everyone: true, reason: "policy" });
      assert.equal((await soon("the end", watched.ended))?.reason, "policy");
    },
  );
});
