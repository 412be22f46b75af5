/** The parts that a guard's knowledge is made of. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { monotonicClock } from "./clock.js";
import { EventParser } from "./events.js";
import { FeedState } from "./feed-state.js";
import { Freshness } from "./freshness.js";
import { Instants } from "./instants.js";
import { keyedHash } from "./keyed-hash.js";
import { crc32, userKey } from "./names.js";
import { namesOf, Revocations } from "./revocations.js";
import { parse, RepeatedMember } from "./strict-json.js";

test("names are escaped as Python's quote does it, and partitions are those of zlib", () => {
  assert.equal(
    userKey("https://id.example", "~a_b-c.d!'()*+ é|"),
    "https%3A%2F%2Fid.example|~a_b-c.d%21%27%28%29%2A%2B%20%C3%A9%7C",
  );
  assert.equal(crc32("123456789"), 0xcbf43926);
});

test("the hash is HalfSipHash-2-4 with 64 bits", () => {
  const hash = keyedHash(Uint8Array.from({ length: 8 }, (_, at) => at));
  // The first, ninth and other vectors of the authors: a pair of bytes is one UTF-16 unit.
  assert.deepEqual(hash(""), { low: 0x591f8d21, high: 0xc83cb8b9 });
  assert.deepEqual(hash("\u0100"), { low: 0xef394f06, high: 0x57eb507c });
  assert.deepEqual(hash("\u0100\u0302\u0504\u0706"), { low: 0x20e8feed, high: 0x8c85e4bc });
});

test("a table of instants is a map that keeps the latest, also while it grows and shrinks", () => {
  const [table, model, hash] = [new Instants(), new Map(), keyedHash()];
  for (let round = 0; round < 20_000; round += 1) {
    const [name, horizon, at] = [`n${randomInt(5000)}`, randomInt(100), randomInt(50)];
    table.keep(hash(name), horizon, at, round % 40);
    const old = model.get(name);
    if (!old || horizon > old.horizon || (horizon === old.horizon && at > old.at))
      model.set(name, { horizon, at, tag: round % 40 });
  }
  assert.equal(table.size, model.size);
  for (const [name, value] of model) assert.deepEqual(table.get(hash(name)), value);
  table.drop(45);
  for (const [name, value] of model)
    assert.deepEqual(table.get(hash(name)), value.at < 45 ? undefined : value);
  assert.equal(table.get(hash("nobody")), undefined);
});

test("a revocation in force takes less than 150 bytes, also while the table grows", () => {
  const [revocations, count] = [new Revocations(), 100_000];
  const buffers = () => process.memoryUsage().arrayBuffers;
  const before = buffers();
  let most = 0;
  for (let n = 0; n < count; n += 1) {
    revocations.apply({ scope: "session", reason: "user", at: 1.7e9, user: `user-${n}`, sid: "s" });
    if (n % 1000 === 0)
      most = Math.max(most, (buffers() - before) / (n + 1) / (n > 5000 ? 1 : 1e9));
  }
  assert.equal(revocations.size, count);
  assert.ok((buffers() - before) / count < 150, `${(buffers() - before) / count} bytes`);
  assert.ok(most < 150, `${most} bytes while it grows`);
});

test("what nobody remembers is forgotten", () => {
  const revocations = new Revocations();
  for (const at of [1, 2000]) {
    for (const scope of /** @type {const} */ (["all", "others", "session"]))
      revocations.apply({ scope, reason: "user", at, user: `${scope}${at}`, sid: "s" });
    revocations.apply({ scope: "all", reason: "policy", at, partition: at });
  }
  assert.equal(revocations.size, 8);
  revocations.forget(1000e6);
  assert.equal(revocations.size, 4);
});

test("what is old judges nobody, though it may still take room among what is not", () => {
  const revocations = new Revocations();
  const sessions = [1, 2000, 2001, 2002, 2003].map((at) => {
    revocations.apply({ scope: "session", reason: "user", at, user: `u${at}`, sid: "s" });
    return namesOf({ iss: "", userKey: userKey("", `u${at}`), sid: "s" });
  });
  revocations.forget(1000e6);
  const known = sessions.map((names) => revocations.facts(names, 0).tombstone?.at);
  assert.deepEqual(known, [undefined, 2000e6, 2001e6, 2002e6, 2003e6]);
});

test("a logout is news once, also in the form that a snapshot has it", () => {
  const revocations = new Revocations();
  const reason = /** @type {const} */ ("user");
  /** @type {import("./revocations.js").Revocation[]} */
  const told = [
    { scope: "all", reason, at: 5, user: "ada", sessions: ["a", "b"], id: "1" },
    { scope: "others", reason, at: 6, user: "bob", sid: "c", sessions: ["d"], id: "2" },
    { scope: "session", reason, at: 7, iss: "i", sid: "e", id: "3" },
    { scope: "all", reason, at: 8, partition: 1, id: "4" },
    { scope: "others", reason, at: 9, partition: 1, sid: "f", id: "5" },
  ];
  for (const one of told) assert.equal(revocations.apply(one), true);
  for (const { sessions = [], id, ...bare } of told) {
    assert.equal(revocations.apply(bare), false, id);
    for (const sid of sessions)
      assert.equal(revocations.apply({ ...bare, scope: "session", sid }), false, id);
  }
  assert.equal(revocations.apply({ scope: "all", reason, at: 7, user: "bob" }), true);
  assert.equal(revocations.apply({ scope: "session", reason, at: 7, user: "ada", sid: "a" }), true);
});

test("partitions that are numbered anew have logouts of everyone concern all", () => {
  const revocations = new Revocations();
  const names = namesOf({ iss: "", userKey: userKey("", "ada"), sid: "s" });
  revocations.apply({ scope: "all", reason: "policy", at: 5, partition: 3 });
  revocations.apply({ scope: "all", reason: "admin", at: 6, partition: 4 });
  assert.equal(revocations.facts(names, 2).cutoffs.length, 0);
  revocations.forgetPartitions();
  assert.deepEqual(
    revocations.facts(names, 2).cutoffs.map(({ reason }) => reason),
    ["admin"],
  );
});

test("names find the facts of one session, and of no other", () => {
  const revocations = new Revocations();
  revocations.apply({ scope: "session", reason: "user", at: 5, iss: "a", user: "b", sid: "c" });
  const known = (
    /** @type {string} */ iss,
    /** @type {string} */ user,
    /** @type {string} */ sid,
  ) =>
    revocations.facts(namesOf({ iss, userKey: userKey(iss, user), sid }), 0).tombstone !==
    undefined;
  assert.equal(known("a", "b", "c"), true);
  for (const [iss, user, sid] of [
    ["a", "b", "d"],
    ["a", "c", "c"],
    ["", "b", "c"],
    ["a|b", "", "c"],
    ["a", "b c", ""],
  ])
    assert.equal(known(iss, user, sid), false);
});

test("an event that is too long ends the reading, in one line or in many", () => {
  for (const text of [
    "x".repeat(200),
    `data: ${"x".repeat(200)}\n`,
    "data: 1234567890\n".repeat(20),
  ]) {
    const parser = new EventParser(() => undefined, "", 100);
    assert.throws(() => parser.read(Buffer.from(text)), RangeError);
  }
});

test("a delay makes knowledge look older, never newer", () => {
  const freshness = new Freshness();
  assert.equal(freshness.staleness(5), Number.POSITIVE_INFINITY);
  assert.equal(freshness.storeTime(5), Number.NaN);
  freshness.confirm({ at: 5000, elapsed: 3 }, 100, 100.5, 110);
  assert.equal(freshness.staleness(110), 7);
  assert.equal(freshness.storeTime(111), 5007.5);
  assert.equal(freshness.latestStoreTime(111), 5008);
  freshness.confirm({ at: 5020, elapsed: 99 }, 100, 100.5, 120);
  assert.equal(freshness.staleness(121), 1);
});

test("the store's time is known the better the earlier a confirmation comes", () => {
  const state = new FeedState();
  state.begin(100);
  state.answer(109);
  const say = (
    /** @type {string} */ type,
    /** @type {number} */ elapsed,
    /** @type {number} */ now,
  ) => {
    const told = { at: 5000 + elapsed, elapsed, partitions: 1, lifetime: 9999 };
    state.take({ type, data: JSON.stringify(told), id: "" }, now);
    return state.freshness.storeTime(now);
  };
  assert.equal(say("ready", 8, 110), 5008);
  assert.equal(say("ready", 12, 113), 5012);
  assert.equal(say("confirmed", 13, 120), 5019);
  const logout = { scope: "all", reason: "user", user: "ada", at: 5020.75 };
  const hear = (/** @type {number} */ at, /** @type {number} */ now) => {
    state.take({ type: "logout", data: JSON.stringify({ ...logout, at }), id: "" }, now);
    return state.freshness.storeTime(now);
  };
  assert.equal(hear(5020.75, 121), 5020.75);
  assert.equal(say("confirmed", 20, 122), 5021.75);
  assert.equal(hear(5001, 123), 5022.75);
  assert.equal(hear(9999, 124), 5024); // its clock was set: a request is not received before it is sent
});

test("a partition that is late makes only its own users' knowledge old", () => {
  const freshness = new Freshness();
  freshness.confirm({ at: 5000, elapsed: 1 }, 100, 100, 101);
  freshness.confirm({ at: 5010, elapsed: 11, late: { 3: -50 } }, 100, 100, 112);
  assert.deepEqual([freshness.staleness(112, 2), freshness.staleness(112, 3)], [1, 11]);
  assert.equal(freshness.staleness(112), 11);
  assert.equal(freshness.knownUntil(3), freshness.knownUntil(2) - 10);
  freshness.confirm({ at: 5012, elapsed: 13 }, 100, 100, 113);
  assert.equal(freshness.staleness(113, 3), 0);
});

test("the clock goes on while the machine sleeps, whatever is done to the time of day", () => {
  const time = { awake: 1000, wall: 5e12, up: 50 };
  const sources = {
    awakeMs: () => time.awake,
    wallMs: () => time.wall,
    upSeconds: () => time.up,
  };
  const clock = monotonicClock(sources);
  const began = clock();
  const pass = (/** @type {number} */ ms) => {
    time.awake += ms;
    time.wall += ms;
    time.up += ms / 1000;
  };
  pass(2000);
  assert.equal(clock() - began, 2);
  time.wall += 3_600_000;
  assert.equal(clock() - began, 2);
  time.wall -= 7_200_000;
  assert.equal(clock() - began, 2);
  time.wall += 60_000;
  time.up += 60;
  pass(1000);
  assert.equal(clock() - began, 63);
});

test("what a guard does not understand it does not pass over", () => {
  const take = (/** @type {string} */ type, /** @type {unknown} */ data) => {
    const state = new FeedState();
    state.begin(0);
    state.take({ type, data: JSON.stringify(data), id: "" }, 1);
  };
  const good = { scope: "session", reason: "user", at: 5, user: "ada", sid: "s" };
  take("logout", { ...good, reason: "a new one", more: 1 });
  for (const change of [
    { scope: "device" },
    { at: "5" },
    { user: 5 },
    { sid: null },
    { sessions: "s" },
    { sessions: [5] },
    { before: "x" },
    { partition: "0" },
  ])
    assert.throws(() => take("logout", { ...good, ...change }), JSON.stringify(change));
  assert.throws(() => take("snapshot", {}));
  assert.throws(() => take("snapshot", { revocations: [5] }));
  for (const partitions of [0, 1.5])
    assert.throws(() => take("ready", { at: 5, elapsed: 0, partitions, lifetime: 5 }));
  assert.throws(() => take("ready", { at: 5, partitions: 1, lifetime: 5 }));
});

test("JSON is read as the standard has it, exactly, and without repeated members", () => {
  for (const text of [
    '{"a":[1.5,true,null,"\\u00e9\\n",{}]}',
    " [ ] ",
    '"x"',
    "-0.5e-3",
    "[[],[[]]]",
  ])
    assert.deepEqual(plain(parse(text)), JSON.parse(text));
  assert.equal(parse("12345678901234567890"), 12345678901234567890n);
  for (const text of [
    "",
    "{",
    "[1,]",
    '{"a":1,}',
    "{,}",
    "[1 2]",
    "01",
    "1.",
    ".5",
    "+1",
    "NaN",
    "'a'",
    '"\t"',
    '"\\x"',
    '"\\u12"',
    "tru",
    "[1]]",
    "\ufeff1",
    `${"[".repeat(2000)}${"]".repeat(2000)}`,
    "1".repeat(5000),
    '{"a"}',
    "{a:1}",
    '{"a":1 "b":2}',
  ])
    assert.throws(() => parse(text), SyntaxError, text.slice(0, 20));
  for (const text of ['{"a":1,"\\u0061":2}', '[{"__proto__":1,"__proto__":2}]'])
    assert.throws(() => parse(text), RepeatedMember);
});

/** @param {import("./strict-json.js").Json} value @returns {any} */
function plain(value) {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value].map(([name, one]) => [name, plain(one)]));
}
