/** A guard in Node in a process of its own, which answers as `witness.py` does. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Guard } from "../../guard_js/index.js";

const { HUB, GUARD_TOKEN, ISSUERS, ISSUER, MAX_STALENESS, ON_STALE, SKEW_FILE } = process.env;

// The wall clock can be set, as that of a replica: see skewed.py.
const now = Date.now;
let offset = 0;
process.on("SIGUSR2", () => {
  offset = Number(readFileSync(SKEW_FILE, "utf8")) * 1000;
});
Date.now = () => now() + offset;

say([]);
const guard = new Guard(HUB, {
  token: GUARD_TOKEN,
  issuers: JSON.parse(ISSUERS),
  maxStaleness: Number(MAX_STALENESS),
  onStale: ON_STALE,
});
await guard.start();
for await (const line of createInterface({ input: process.stdin })) answer(...JSON.parse(line));
process.exit();

async function answer(number, kind, ...given) {
  const start = seconds();
  let result = "accepted";
  try {
    const [first, sid, begun] = given;
    if (kind === "token") await guard.check(first);
    else await guard.checkSession(first, sid, begun, { issuer: ISSUER });
  } catch (error) {
    result = error.code ?? `failed: ${error}`;
  }
  say([number, start, seconds(), result]);
}

function say(values) {
  process.stdout.write(`${JSON.stringify(values)}\n`);
}

/** The monotonic clock that all processes of the machine share. */
function seconds() {
  return Number(process.hrtime.bigint()) / 1e9;
}
