/** Memory that a revocation takes in a guard in Node: `node --expose-gc memory.mjs COUNT`. */

import { userKey } from "../../guard_js/names.js";
import { placeOf, Revocations } from "../../guard_js/revocations.js";
import { judge } from "../../guard_js/verdict.js";

const AT = 1_700_000_000;
const ISS = "https://id.example";
const count = Number(process.argv[2]);
const facts = new Revocations();

for (let number = 0; number < 1000; number++) facts.apply(revocation(number));
const before = resident();
for (let number = 0; number < count; number++) facts.apply(revocation(number));
const full = resident();
for (let number = 0; number < count; number++) check(number);
const warm = resident();
for (let number = 0; number < count; number++) check(number);
console.log(
  JSON.stringify({
    bytes: (full - before) / count,
    "bytes a check": (resident() - warm) / count,
  }),
);

/** Half of them are of a user's sessions, half of one session. */
function revocation(number) {
  const isNamed = number % 2 === 1;
  return {
    scope: isNamed ? "session" : "all",
    reason: "user",
    at: AT + number / 1000,
    iss: ISS,
    user: `user-${number}`,
    ...(isNamed ? { sid: `session-${number}` } : {}),
  };
}

function check(number) {
  const user = `user-${number}`;
  const iat = (AT + number) * 1e6;
  const identity = {
    user,
    iss: ISS,
    userKey: userKey(ISS, user),
    sid: `session-${number}`,
    iat,
    exp: iat + 1e6,
    nbf: 0,
    scopes: [],
    perToken: false,
    leeway: 0,
  };
  const place = placeOf(identity);
  judge(identity, facts.facts(place, 0), (AT + count) * 1e6);
}

function resident() {
  for (let turn = 0; turn < 3; turn++) globalThis.gc();
  return process.memoryUsage().rss;
}
