/** The package, as an app installs it: packed, unpacked, imported, bundled and type-checked. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const HERE = fileURLToPath(new URL(".", import.meta.url));
const TSC = join(HERE, "..", "node_modules", ".bin", "tsc");

const APP = `
import { createLogoutHub, type LogoutHub, pageHub } from "logout-hub-client";
import { createCore } from "logout-hub-client/core";
import { LogoutButton, SessionList, setTexts } from "logout-hub-client/elements";
import { offline } from "logout-hub-client/offline";
import { tabs } from "logout-hub-client/tabs";

const hub: LogoutHub = createLogoutHub({
  url: "https://hub.example",
  token: async () => "a token",
  keep: ["theme"],
  profile: ({ reason }) => (reason === "policy" ? "lost" : "ordinary"),
  onLogout: ({ message }) => message?.length,
});
const stop: () => void = hub.on("state", (state) => state === "polling");
hub.on("logout", ({ reason, pending }) => [reason?.length, pending === true]);
hub.on("error", ({ code, title }) => code + (title ?? ""));
const answer = await hub.logout({ scope: "others", reason: "user" });
const words: string[] = answer.sessions.map(({ device, state }) => device + state);
const names: string[] = (await hub.sessions()).map(({ sid, online }) => sid + online);
const complete: boolean | undefined = (await hub.receipt(answer.id ?? "", 5)).complete;
const session: string | undefined = pageHub()?.session;
setTexts("en", { logOut: "Sign out", done: { one: "One.", other: "{count}." } });
const elements: HTMLElement[] = [new LogoutButton(), new SessionList()];
for (const element of [new LogoutButton(), new SessionList()]) element.hub = hub;
const again: Promise<void> = new SessionList().refresh();
const small = createCore({ url: "https://hub.example" }, [offline, tabs, () => ({ closed() {} })]);
await small.logout({ reason: "idle" });
export { again, complete, elements, names, session, small, stop, words };

// @ts-expect-error: there is no such scope
hub.logout({ scope: "everything" });
// @ts-expect-error: there is no such event
hub.on("logut", () => undefined);
// @ts-expect-error: there is no such option
createLogoutHub({ tokn: "t" });
`;

/** @type {string} the folder of an app that has installed the package */
let app;
/** @type {string} */
let installed;

before(async () => {
  app = await mkdtemp(join(tmpdir(), "logout-hub-client-"));
  installed = join(app, "node_modules", "logout-hub-client");
  await mkdir(installed, { recursive: true });
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", app], { cwd: HERE });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf("[")));
  await run("tar", ["-xzf", join(app, filename), "-C", installed, "--strip-components=1"]);
});
after(() => rm(app, { recursive: true, force: true }));

test("the types that are checked in are those of the code (npm run declarations)", async () => {
  const made = join(app, "made");
  await run(TSC, ["--project", join(HERE, "tsconfig.json"), "--outDir", made]);
  const files = (/** @type {string} */ folder) =>
    readdir(folder, { recursive: true }).then((names) =>
      names.filter((name) => name.endsWith(".d.ts")).sort(),
    );
  const names = await files(made);
  assert.deepEqual(await files(join(HERE, "types")), names);
  for (const name of names) {
    const [fresh, kept] = await Promise.all(
      [made, join(HERE, "types")].map((folder) => readFile(join(folder, name), "utf8")),
    );
    assert.equal(kept, fresh, name);
  }
});

test("a folder that is linked has its types, without any build", async () => {
  const { exports } = JSON.parse(await readFile(join(HERE, "package.json"), "utf8"));
  for (const { types } of Object.values(exports)) await readFile(join(HERE, types), "utf8");
});

test("an app in TypeScript is checked against the types that were generated", async () => {
  const compilerOptions = { module: "nodenext", target: "es2022", strict: true, noEmit: true };
  await writeFile(join(app, "package.json"), '{"type": "module"}');
  await writeFile(join(app, "app.ts"), APP);
  const config = { compilerOptions: { ...compilerOptions, types: [] }, files: ["app.ts"] };
  await writeFile(join(app, "tsconfig.json"), JSON.stringify(config));
  const { stdout } = await run(TSC, [], { cwd: app }).catch((error) => error);
  assert.equal(stdout, "");
});

test("every entry can be imported where there is no browser, and has its types", async () => {
  const { exports } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  for (const [name, entry] of Object.entries(exports)) {
    const script = `await import(${JSON.stringify(name.replace(".", "logout-hub-client"))})`;
    await run("node", ["--input-type=module", "--eval", script], { cwd: app });
    assert.match(await readFile(join(installed, entry.types), "utf8"), /^export /m);
  }
});

test("it holds modules, types and what to know about them, and nothing else", async () => {
  const files = await readdir(installed, { recursive: true });
  const strange = files.filter((file) => !/(^|\/)[\w-]+(\.js|\.d\.ts)$/.test(file));
  assert.deepEqual(
    strange.sort().filter((file) => !["elements", "types", "types/elements"].includes(file)),
    ["LICENSE", "README.md", "package.json"],
  );
  assert.deepEqual(
    files.filter((file) => /test|support/.test(file)),
    [],
  );
  const licence = (/** @type {string} */ folder) => readFile(join(folder, "LICENSE"), "utf8");
  assert.equal(await licence(installed), await licence(join(HERE, "..")));
});

test("its version is the hub's", async () => {
  const { version } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  const project = await readFile(join(HERE, "..", "pyproject.toml"), "utf8");
  assert.equal(version, /^version = "(.+)"$/m.exec(project)?.[1]);
});
