/** The package, as an app installs it: packed, unpacked, imported and type-checked. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const HERE = fileURLToPath(new URL(".", import.meta.url));
const MODULES = join(HERE, "..", "node_modules");
const TSC = join(MODULES, ".bin", "tsc");

const APP = `
import express from "express";
import session from "express-session";
import fastify from "fastify";
import { createServer } from "node:http";
import { Server } from "socket.io";
import { WebSocketServer } from "ws";
import { Guard, HubError, type Identity, problem, type Watch } from "logout-hub-guard";
import { guardMiddleware } from "logout-hub-guard/express";
import { guardPlugin } from "logout-hub-guard/fastify";
import { guardSockets } from "logout-hub-guard/socket.io";
import { guardUpgrades } from "logout-hub-guard/ws";

declare module "express-session" {
  interface SessionData {
    login: { user: string; sid: string; loggedInAt: number };
  }
}
const guard = new Guard(["https://a.example", "https://b.example"], {
  token: "t",
  issuers: [{ iss: "https://id.example", preset: "keycloak", audience: "app" }],
  onStale: "refuse",
});
const app = express();
app.use(session({ secret: "s", resave: false, saveUninitialized: false }));
app.use(guardMiddleware(guard, { exempt: ["/health"], session: (request) => request.session?.login }));
await fastify().register(guardPlugin, { guard, cookie: "session" });
const server = createServer(app);
const stop: () => void = guardUpgrades(server, new WebSocketServer({ noServer: true }), guard);
guardSockets(new Server(server), guard, { cookie: "session" });
guardSockets(new Server(server).of("/chat"), guard);

const { user, scopes }: Identity = await guard.check("token");
const watch: Watch = guard.watch(user, "sid", { loggedInAt: guard.now() });
const reason: string | undefined = (await watch.ended)?.reason;
fetch("https://job.example", { signal: watch.signal });
const left: () => void = guard.onLogout(({ user, reason }) => [user?.length, reason === "idle"]);
const ticket: string = await guard.mintTicket(user, "sid", { loginTime: guard.now(), name: "Ada" });
const answer = (error: unknown) => error instanceof HubError && problem(error).status;
export { answer, left, reason, scopes, stop, ticket };

// @ts-expect-error: there is no such policy
new Guard("https://a.example", { token: "t", onStale: "ignore" });
// @ts-expect-error: there is no such reason
guard.endSession("ada", "sid", { reason: "whim" });
// @ts-expect-error: there is no such option
guardMiddleware(guard, { exmpt: [] });
`;

/** @type {string} the folder of an app that has installed the package */
let app;
/** @type {string} */
let installed;

before(async () => {
  app = await mkdtemp(join(tmpdir(), "logout-hub-guard-"));
  installed = join(app, "node_modules", "logout-hub-guard");
  await mkdir(installed, { recursive: true });
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", app], { cwd: HERE });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf("[")));
  await run("tar", ["-xzf", join(app, filename), "-C", installed, "--strip-components=1"]);
  for (const name of ["@types", "express", "express-session", "fastify", "jose", "socket.io", "ws"])
    await symlink(join(MODULES, name), join(app, "node_modules", name));
});
after(() => rm(app, { recursive: true, force: true }));

test("the types that are checked in are those of the code (npm run declarations)", async () => {
  const made = join(app, "made");
  await run(TSC, ["--project", join(HERE, "tsconfig.json"), "--outDir", made]);
  const names = (await readdir(made)).sort();
  assert.deepEqual((await readdir(join(HERE, "types"))).sort(), names);
  for (const name of names) {
    const [fresh, kept] = await Promise.all(
      [made, join(HERE, "types")].map((folder) => readFile(join(folder, name), "utf8")),
    );
    assert.equal(kept, fresh, name);
  }
});

test("an app in TypeScript is checked against the types that were generated", async () => {
  const compilerOptions = { module: "nodenext", target: "es2022", strict: true, noEmit: true };
  await writeFile(join(app, "package.json"), '{"type": "module"}');
  await writeFile(join(app, "app.ts"), APP);
  const config = {
    compilerOptions: { ...compilerOptions, types: ["node"], skipLibCheck: true },
    files: ["app.ts"],
  };
  await writeFile(join(app, "tsconfig.json"), JSON.stringify(config));
  const { stdout } = await run(TSC, [], { cwd: app }).catch((error) => error);
  assert.equal(stdout, "");
});

test("every entry can be imported, and has its types", async () => {
  const { exports } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  const names = Object.keys(exports).map((name) => name.replace(".", "logout-hub-guard"));
  const script = names.map((name) => `await import(${JSON.stringify(name)});`).join("");
  await run("node", ["--input-type=module", "--eval", script], { cwd: app });
  for (const { types } of Object.values(exports))
    assert.match(await readFile(join(installed, types), "utf8"), /^export /m);
});

test("it holds modules, types and what to know about them, and needs nothing but jose", async () => {
  const files = await readdir(installed, { recursive: true });
  const strange = files.filter((file) => !/^(types\/)?[\w-]+(\.js|\.d\.ts)$/.test(file));
  assert.deepEqual(strange.sort(), ["LICENSE", "README.md", "package.json", "types"]);
  assert.deepEqual(
    files.filter((file) => /\.test\.|support/.test(file)),
    [],
  );
  const licence = (/** @type {string} */ folder) => readFile(join(folder, "LICENSE"), "utf8");
  assert.equal(await licence(installed), await licence(join(HERE, "..")));
  const { dependencies } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  assert.deepEqual(Object.keys(dependencies), ["jose"]);
});

test("its version is the hub's", async () => {
  const { version } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  const project = await readFile(join(HERE, "..", "pyproject.toml"), "utf8");
  assert.equal(version, /^version = "(.+)"$/m.exec(project)?.[1]);
});
