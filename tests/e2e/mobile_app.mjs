// An app that uses the JavaScript of the page on mobile clients. Writes what happens as lines of
// JSON, and takes commands as lines of JSON.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { go } from "./react_native/index.js";

const { snippet, url, file, given, fresh } = JSON.parse(process.argv[2]);
const { deliverLogout, stayLoggedIn } = await import(snippet);

/** @param {string} what @param {unknown} [value] */
const tell = (what, value) => process.stdout.write(`${JSON.stringify({ what, value })}\n`);

const memory = {
  async load() {
    try {
      return JSON.parse(readFileSync(file, "utf8"));
    } catch {
      return undefined;
    }
  },
  save: async (/** @type {unknown} */ value) => writeFileSync(file, JSON.stringify(value)),
  remove: async () => rmSync(file, { force: true }),
};

let current = given;
const session = stayLoggedIn({
  url,
  device: "Ada's phone",
  memory,
  async getToken(/** @type {{fresh: boolean}} */ wanted) {
    tell("asked", wanted.fresh);
    if (wanted.fresh) current = fresh.shift();
    return current;
  },
  async clearState() {
    await new Promise((resolve) => setTimeout(resolve, 300)); // an early acknowledgement would show
    tell("cleared");
  },
  setCovered: (/** @type {boolean} */ yes) => tell(yes ? "covered" : "shown"),
  showLogin: (/** @type {unknown} */ why) => tell("login", why),
  report: (/** @type {unknown} */ error) => tell("reported", error),
});

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { state, scope, deliver } = JSON.parse(line);
  if (state) go(state);
  if (scope) tell("answer", await session.logout(scope));
  if (deliver) tell("delivered", await deliverLogout(url, memory));
});
