/** The hub itself, as `logout-hub serve` runs it. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { soon } from "../support.js";
import { SECRET } from "./tokens.js";

/** @typedef {{port: number, end: (user: string, why: {reason: string, message?: string}) =>
 *   Promise<string[]>, devices: (token: string) => Promise<string[]>,
 *   restart: () => Promise<void>}} Place a running server: `end` ends a user's sessions as an
 *   administrator does, and gives what became of each */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const ADMIN = "an admin token of the wire tests";
const VENV = `${ROOT}.venv/bin/python`;
const PYTHON = process.env.PYTHON ?? (existsSync(VENV) ? VENV : "python3");

/** What the hub needs and this machine has not, if anything. */
export function lacksOwn() {
  const { status } = spawnSync(PYTHON, ["-c", "import hub.serving"], { cwd: ROOT });
  return status === 0 ? "" : `${PYTHON} cannot run the hub: name one that can in PYTHON`;
}

/** @typedef {{pings?: {interval: number, timeout: number}, settings?: Record<string, string>}} Options
 *   times in seconds */

/** @param {Options & {port: number}} options */
async function launch({ port, pings, settings }) {
  const [module, asked] = pings
    ? [
        "tests.e2e.pinging",
        { PING_INTERVAL: `${pings.interval}`, PING_TIMEOUT: `${pings.timeout}` },
      ]
    : ["hub", {}];
  const hub = spawn(PYTHON, ["-m", module, "serve"], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      PATH: process.env.PATH,
      ...asked,
      HUB_PORT: `${port}`,
      HUB_JWT_SECRET: SECRET,
      HUB_ADMIN_TOKEN: ADMIN,
      HUB_COOKIE_NAME: "session",
      HUB_ALLOWED_ORIGINS: "https://app.example",
      ...settings,
    },
  });
  /** @type {Promise<void>} */
  const gone = new Promise((resolve) => hub.on("close", () => resolve()));
  let told = "";
  /** @type {Promise<number>} */
  const listening = new Promise((resolve, reject) => {
    hub.stderr.on("data", (text) => {
      told += text;
      const [, where] = /logout-hub on \S+:(\d+)/.exec(told) ?? [];
      if (where) resolve(Number(where));
    });
    hub.on("close", () => reject(new Error(`the hub ended: ${told}`)));
  });
  const stop = async () => {
    hub.kill("SIGKILL");
    await gone;
  };
  try {
    return { port: await soon("the hub to listen", listening), stop };
  } catch (error) {
    await stop(); // or the test would never end
    throw error;
  }
}

/** @param {import("node:test").TestContext} t @param {Options} [options] @returns {Promise<Place>} */
export async function startOwn(t, options) {
  let hub = await launch({ port: 0, ...options });
  const { port } = hub;
  t.after(() => hub.stop());

  /** @param {string} path @param {string} token @param {object} [body] @returns {Promise<any>} */
  async function call(path, token, body) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: body ? "POST" : "GET",
      headers: { Authorization: `Bearer ${token}` },
      body: body && JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  return {
    port,
    async end(user, why) {
      const { sessions } = await call("/admin/logout?wait=10", ADMIN, { user, ...why });
      return sessions.map((/** @type {{state: string}} */ { state }) => state);
    },
    async devices(token) {
      const { sessions } = await call("/sessions", token);
      return sessions.map((/** @type {{device: string}} */ { device }) => device);
    },
    async restart() {
      await hub.stop();
      hub = await launch({ port, ...options });
    },
  };
}
