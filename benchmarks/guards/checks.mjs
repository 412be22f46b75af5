/** Checks by a guard in Node beside jose, in turn: `node checks.mjs '{"url": …}'`. */
import { createPublicKey, createSecretKey } from "node:crypto";
import { jwtVerify } from "jose";
import { Guard } from "../../guard_js/index.js";

const ROUNDS = 7;
const CHECKS = 50_000;
const VERIFICATIONS = 2_000;

const { url, guardToken, iss, secret, publicKey, tokens } = JSON.parse(process.argv[2]);
const keys = {
  HS256: createSecretKey(Buffer.from(secret)),
  RS256: createPublicKey(publicKey),
};
const issuers = [
  { iss, secret },
  { iss, publicKey, algorithms: ["RS256"] },
];
const guard = new Guard(url, { token: guardToken, issuers });
await guard.start();
const loggedInAt = guard.now();

const calls = [
  ["check_session", CHECKS, () => guard.checkSession("ada", "s1", loggedInAt, { issuer: iss })],
];
for (const [algorithm, token] of Object.entries(tokens)) {
  const options = { issuer: iss, algorithms: [algorithm] };
  calls.push([`check ${algorithm}`, CHECKS, () => guard.check(token)]);
  calls.push([
    `verify ${algorithm}`,
    VERIFICATIONS,
    () => jwtVerify(token, keys[algorithm], options),
  ]);
}

const times = {};
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, count, call] of calls) {
    times[name] = [...(times[name] ?? []), await time(call, count)];
  }
}
// The best round: whatever else the machine does only adds to it.
const best = Object.entries(times).map(([name, all]) => [name, Math.min(...all)]);
console.log(JSON.stringify(Object.fromEntries(best)));
guard.close();

/** Return microseconds a call. */
async function time(call, count) {
  await call();
  const began = performance.now();
  for (let made = 0; made < count; made++) await call();
  return ((performance.now() - began) / count) * 1000;
}
