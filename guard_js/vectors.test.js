/** The rules of this package are those of the hub: the vectors in tests/vectors say what it says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EventParser } from "./events.js";
import { FeedState } from "./feed-state.js";
import { Issuers } from "./issuers.js";
import { KeySchedule } from "./key-schedule.js";
import { userKey } from "./names.js";
import { namesOf, Revocations } from "./revocations.js";
import { judge } from "./verdict.js";

/** @param {string} name @returns {any[]} */
const load = (name) =>
  JSON.parse(readFileSync(new URL(`../tests/vectors/${name}.json`, import.meta.url), "utf8"));

/** @param {any} told @returns {import("./verdict.js").Identity} */
function identityOf({ iss, user, sid, iat, exp, nbf = 0, login_at: loginAt, leeway = 0 }) {
  const key = userKey(iss, user);
  return {
    user,
    iss,
    userKey: key,
    sid,
    iat,
    exp,
    nbf,
    loginAt,
    leeway,
    scopes: [],
    perToken: false,
  };
}

/** @param {any} told @param {Revocations} revocations @param {number} partitions */
function verdict(told, revocations, partitions) {
  const identity = identityOf(told);
  const names = namesOf(identity);
  const facts = revocations.facts(names, names.crc % partitions);
  const refusal = judge(identity, facts, told.now);
  return {
    code: refusal?.code ?? null,
    logout_at: refusal?.logout && refusal.logout.at / 1e6,
    retry_after: refusal?.retryAfter,
    max_age: refusal?.maxAge,
  };
}

/** @param {any} told */
const expected = ({ code, logout_at, retry_after, max_age }) => ({
  code,
  logout_at,
  retry_after,
  max_age,
});

test("verdicts are the hub's, in whatever order and however often revocations come", () => {
  let count = 0;
  for (const { about, partitions, revocations: told, judged } of load("judge")) {
    for (const order of [told, [...told].reverse(), [...told, ...told]]) {
      const revocations = new Revocations();
      for (const one of order) revocations.apply(one);
      for (const one of judged) {
        assert.deepEqual(verdict(one, revocations, partitions), expected(one), about);
        count += 1;
      }
    }
  }
  assert.ok(count >= 3000);
});

test("a token is of the same user and session as at the hub, or refused as there", async () => {
  let count = 0;
  for (const { about, issuers: tables, rules, tokens } of load("tokens")) {
    const issuers = new Issuers(tables.map(spell));
    assert.deepEqual(
      issuers.entries.map(({ rules: made }) => tell(made)),
      rules.map(withoutName),
    );
    for (const { token, identity, code } of tokens) {
      const found = await issuers.verify(token).then(
        (made) => ({ identity: tellIdentity(made.identity) }),
        (error) => ({ code: error.code }),
      );
      assert.deepEqual(found, identity ? { identity } : { code }, `${about}: ${token}`);
      count += 1;
    }
  }
  assert.ok(count >= 1000);
});

/** A table of the hub's settings, as this package spells its members. @param {any} table */
function spell(table) {
  const members = Object.entries(table).map(([name, value]) => [
    name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(members);
}

/** @param {import("./tokens.js").Rules} rules */
const tell = (rules) => ({
  algorithms: rules.algorithms,
  max_lifetime: rules.maxLifetime,
  issuer: rules.issuer ?? null,
  aliases: rules.aliases,
  audience: rules.audience ?? null,
  audience_claims: rules.audienceClaims,
  user: rules.user,
  session: rules.session,
  login_time: rules.loginTime,
  leeway: rules.leeway,
});

/** @param {any} rules */
const withoutName = ({ lifetime_setting: _, ...rules }) => rules;

/** @param {import("./verdict.js").Identity} identity */
const tellIdentity = (identity) => ({
  user: identity.userKey,
  sub: identity.user,
  iss: identity.iss,
  sid: identity.sid,
  iat: identity.iat,
  exp: identity.exp,
  nbf: identity.nbf,
  scopes: identity.scopes,
  login_at: identity.loginAt ?? null,
  per_token: identity.perToken,
  leeway: identity.leeway,
});

/** Later than everything in the vectors. */
const LATE = 1e6;

/** @param {Uint8Array} bytes @param {number[]} cuts */
function* pieces(bytes, cuts) {
  for (const [index, from] of [0, ...cuts].entries())
    yield bytes.subarray(from, cuts[index] ?? bytes.length);
}

test("the feed is read as the hub means it, however its bytes are cut", () => {
  for (const { about, connections, known_until, partitions, judged, last_event_id } of load(
    "feed",
  )) {
    for (const cut of ["whole", "bytes", "cuts"]) {
      const state = new FeedState();
      for (const { asked_at, stream, cuts, events } of connections) {
        const bytes = new TextEncoder().encode(stream);
        const lastId = state.begin(asked_at);
        /** @type {any[]} */
        const seen = [];
        const parser = new EventParser((event) => {
          seen.push({
            event: event.type,
            id: event.id === lastId ? "" : event.id,
            data: event.data,
          });
          if (known_until) state.take(event, LATE);
        }, lastId);
        const at = { whole: [], bytes: [...bytes.keys()].slice(1), cuts }[cut] ?? [];
        for (const piece of pieces(bytes, at)) parser.read(piece);
        assert.deepEqual(
          seen,
          events.map((/** @type {any} */ one) => ({ ...one, id: one.id === lastId ? "" : one.id })),
          about,
        );
      }
      if (!known_until) continue;
      const known = known_until.map(
        (/** @type {number | null} */ _, /** @type {number} */ index) => {
          const until = LATE - state.freshness.staleness(LATE, index);
          return Number.isFinite(until) ? until : null;
        },
      );
      assert.deepEqual(known, known_until, about);
      if (last_event_id !== undefined) assert.equal(state.begin(0), last_event_id, about);
      for (const one of judged ?? [])
        assert.deepEqual(verdict(one, state.revocations, partitions), expected(one), about);
    }
  }
});

test("keys are fetched when the hub fetches them", () => {
  let count = 0;
  for (const { about, events, fetched, is_failing, then } of load("schedule")) {
    const schedule = new KeySchedule();
    for (const { at, event } of events) {
      if (event === "fetched" || event === "failed") schedule.noteFetch(at, event === "fetched");
      else schedule.noteLook(at, event === "found");
    }
    assert.deepEqual([schedule.fetched, schedule.isFailing], [fetched, is_failing], about);
    for (const { now, is_due, wait } of then) {
      assert.deepEqual([schedule.isDue(now), schedule.wait(now)], [is_due, wait], about);
      count += 1;
    }
  }
  assert.ok(count >= 500);
});
