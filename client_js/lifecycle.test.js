/** The lifecycle of a session: every event in every state, without a network, a page or a clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { START, TRANSITIONS } from "./lifecycle.js";

/** @typedef {import("./lifecycle.js").SessionState} SessionState */

const WHY = { sid: "s1", reason: "admin" };
const OTHER_WHY = { sid: "s1", reason: "user" };
const answer = () => undefined;

/** @type {Record<string, SessionState>} */
const STATES = {
  new: START,
  live: { ...START, status: "connected", sid: "s1", user: "ada" },
  "logging out": { ...START, status: "connected", sid: "s1", user: "ada", logouts: 1 },
  stopped: { ...START, live: false, status: "disconnected", sid: "s1", user: "ada" },
  ending: { ...START, live: false, status: "connected", sid: "s1", user: "ada", why: WHY },
  ended: { ...START, live: false, status: "ended", sid: "s1", user: "ada", why: WHY },
  closed: { ...START, live: false, status: "closed", sid: "s1", user: "ada" },
  "closed while ending": { ...START, live: false, status: "closed", sid: "s1", why: WHY },
};

const EXPIRED = { code: "token_expired", title: "Expired" };
const REVOKED = { code: "token_revoked", logout: { id: "l1", reason: "admin" } };
const MISSING = { code: "token_missing" };
const INVALID = { code: "token_invalid", title: "Not ours", detail: "kid", logout: undefined };

/** What comes of the end of a session that is not over yet.
 * @param {object} why @param {unknown} [given] @param {boolean} [replaced] */
const ends = (why, given, replaced) => [
  { live: false, why },
  ["clear", why, given, replaced],
  ["ended", why, replaced],
];
const { code, title, detail } = INVALID;
const STOPS = [
  { live: false, status: "disconnected" },
  ["stopped"],
  ["onerror", { code, title, detail }],
];
/** A second end only waits for the first one's clearing. @param {object} why @param {unknown} given */
const waits = (why, given) => [{}, ["clear", why, given]];
const NOTHING = undefined;

/** By event: what comes of it in each state, or in all states that are not named.
 * @type {Record<string, {event: [name: string, ...details: any[]], each?: any, in?: Record<string, any>}>} */
const EVENTS = {
  "a status": {
    event: ["status", "polling"],
    in: {
      new: [{ status: "polling" }],
      live: [{ status: "polling" }],
      "logging out": [{ status: "polling" }],
    },
  },
  "a confirmation of the same session": {
    event: ["accepted", "s1", "ada"],
    in: {
      new: [{ sid: "s1", user: "ada" }, ["accepted", true]],
      live: [{ sid: "s1", user: "ada" }, ["accepted", false]],
      "logging out": [{ sid: "s1", user: "ada" }, ["accepted", false]],
    },
  },
  "a confirmation that does not say of whom": {
    event: ["accepted"],
    in: {
      new: [{ sid: undefined, user: undefined }, ["accepted", false]],
      live: [{ sid: "s1", user: "ada" }, ["accepted", false]],
      "logging out": [{ sid: "s1", user: "ada" }, ["accepted", false]],
    },
  },
  "a confirmation of the user's next session": {
    event: ["accepted", "s2", "ada"],
    in: {
      new: [{ sid: "s2", user: "ada" }, ["accepted", true]],
      live: [{ sid: "s2", user: "ada" }, ["accepted", true]],
      "logging out": [{ sid: "s1", user: "ada" }, ["accepted", false]],
    },
  },
  "a confirmation of another person's session": {
    event: ["accepted", "s9", "eve"],
    in: {
      new: [{ sid: "s9", user: "eve" }, ["accepted", true]],
      live: ends({ sid: "s1" }, undefined, true),
      "logging out": ends({ sid: "s1" }, undefined, true),
    },
  },
  "a refusal for now": { event: ["refused", { ...EXPIRED, retryable: true }, "t"] },
  "a refusal for good": {
    event: ["refused", INVALID, "t"],
    in: { new: STOPS, live: STOPS, "logging out": STOPS },
  },
  "a refusal that a newer token may undo": {
    event: ["refused", EXPIRED, "t"],
    in: {
      new: [{}, ["renew", EXPIRED, "t"]],
      live: [{}, ["renew", EXPIRED, "t"]],
      "logging out": [{}, ["renew", EXPIRED, "t"]],
    },
  },
  "an expiry that is final": {
    event: ["refused", EXPIRED, "t", true],
    in: {
      new: ends({ reason: "expired" }),
      live: ends({ reason: "expired", sid: "s1" }),
      "logging out": ends({ reason: "expired", sid: "s1" }, undefined, false),
    },
  },
  "a revocation that is final": {
    event: ["refused", REVOKED, "t", true],
    in: {
      new: ends({ id: "l1", reason: "admin" }),
      live: ends({ id: "l1", reason: "admin", sid: "s1" }),
      "logging out": ends({ id: "l1", reason: "admin", sid: "s1" }, undefined, false),
    },
  },
  "a missing token": {
    event: ["refused", MISSING, undefined],
    in: {
      new: [
        { live: false, status: "disconnected" },
        ["stopped"],
        ["onerror", { code: "token_missing", title: undefined, detail: undefined }],
      ],
      live: [{}, ["renew", MISSING, undefined]],
      "logging out": [{}, ["renew", MISSING, undefined]],
    },
  },
  "a token that is still missing": {
    event: ["refused", MISSING, undefined, true],
    in: {
      new: [
        { live: false, status: "disconnected" },
        ["stopped"],
        ["onerror", { code: "token_missing", title: undefined, detail: undefined }],
      ],
      live: ends({ reason: "expired", sid: "s1" }),
      "logging out": ends({ reason: "expired", sid: "s1" }, undefined, false),
    },
  },
  "a logout by the app": {
    event: ["logoutStarted"],
    each: [{ logouts: 1 }, ["logoutStarted"]],
    in: { "logging out": [{ logouts: 2 }, ["logoutStarted"]] },
  },
  "a logout that failed": {
    event: ["logoutFailed"],
    // Only after one has started, so that there is no such event but in one of these states.
    each: [{ logouts: -1 }],
    in: { "logging out": [{ logouts: 0 }] },
  },
  "an end": {
    event: ["ended", OTHER_WHY, answer],
    each: ends(OTHER_WHY, answer),
    in: {
      "logging out": ends(OTHER_WHY, answer, false),
      ending: waits(OTHER_WHY, answer),
      ended: waits(OTHER_WHY, answer),
      "closed while ending": waits(OTHER_WHY, answer),
    },
  },
  "the end of the clearing": {
    event: ["cleared"],
    in: { ending: [{ status: "ended" }, ["announce", WHY]] },
  },
  "a close by the app": {
    event: ["closed"],
    each: [{ live: false, status: "closed" }, ["closed"]],
  },
};

/** @param {SessionState} state @param {[name: string, ...details: any[]]} event */
function take(state, [name, ...details]) {
  const step = /** @type {any} */ (TRANSITIONS)[name](Object.freeze({ ...state }), ...details);
  return step || NOTHING;
}

for (const [name, { event, each = NOTHING, in: by = {} }] of Object.entries(EVENTS))
  test(`${name}: what comes of it in each state`, () => {
    for (const state in by) assert.ok(state in STATES, state);
    for (const [key, state] of Object.entries(STATES)) {
      const expected = key in by ? by[key] : each;
      assert.deepEqual(take(state, event), expected, key);
    }
  });

test("every event of the table is tried", () => {
  const tried = new Set(Object.values(EVENTS).map(({ event }) => event[0]));
  assert.deepEqual([...tried].sort(), Object.keys(TRANSITIONS).sort());
});

test("the codes of refusals that end a session are these", () => {
  const codes = {
    token_revoked: true,
    token_expired: true,
    token_too_old: true,
    login_required: true,
    token_invalid: false,
    token_not_yet_valid: false,
    origin_not_allowed: false,
    forbidden: false,
    rate_limited: false,
    not_found: false,
    payload_too_large: false,
    unavailable: false,
  };
  for (const [code, isEnd] of Object.entries(codes)) {
    const [, [effect]] = take(STATES.live, ["refused", { code }, "t"]);
    assert.equal(effect, isEnd ? "renew" : "stopped", code);
  }
});

/** All steps that can be taken within so many events. A logout fails only after it has started. */
function* walk(depth = 5) {
  let /** @type {SessionState[]} */ reached = [START];
  const seen = new Set();
  for (let round = 0; round < depth; round += 1) {
    /** @type {SessionState[]} */
    const next = [];
    for (const before of reached)
      for (const { event } of Object.values(EVENTS)) {
        if (event[0] === "logoutFailed" && !before.logouts) continue;
        const [changes, ...effects] = take(before, event) ?? [{}];
        const after = { ...before, ...changes };
        yield {
          before,
          event,
          after,
          effects: effects.map((/** @type {[string]} */ [effect]) => effect),
        };
        const key = JSON.stringify(after);
        if (!seen.has(key)) next.push(after);
        seen.add(key);
      }
    reached = next;
  }
}

test("whatever happens: there is no way back, and the first end is the one that counts", () => {
  let count = 0;
  for (const { before, after, effects } of walk()) {
    count += 1;
    if (!before.live) assert.equal(after.live, false);
    if (before.why) assert.equal(after.why, before.why);
    if (before.status === "closed") assert.equal(after.status, "closed");
    if (before.status === "ended") assert.ok(["ended", "closed"].includes(after.status));
    if (after.why) assert.equal(after.live, false);
    if (after.status === "ended") assert.ok(after.why);
    assert.equal(effects.includes("ended"), !before.why && Boolean(after.why));
    assert.equal(effects.includes("stopped"), effects.includes("onerror"));
  }
  assert.ok(count > 1_000, String(count));
});

test("whatever happens: the app is told of the end once, after the clearing, unless it closed", () => {
  for (const { before, event, after, effects } of walk())
    assert.equal(
      effects.includes("announce"),
      event[0] === "cleared" && before.status !== "ended" && after.status === "ended",
    );
});
