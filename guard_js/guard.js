/** A guard: tells within a microsecond whether a session is alive, by the logouts that a hub streams.
 *
 * A verdict is as good as the guard's knowledge is fresh. Up to `maxStaleness` seconds after the
 * last confirmation by the hub the guard decides alone; after that `onStale` says what to do.
 */
import { readDate, readName } from "./claims.js";
import { monotonicClock } from "./clock.js";
import { HubError } from "./errors.js";
import { Feed } from "./feed.js";
import { FeedState } from "./feed-state.js";
import { Issuers } from "./issuers.js";
import { KnownTokens } from "./known-tokens.js";
import { userKey } from "./names.js";
import { Questions } from "./questions.js";
import { placeOf } from "./revocations.js";
import { signTicket } from "./tickets.js";
import { judge, newest } from "./verdict.js";
import { Watches } from "./watches.js";

/** @typedef {import("./issuers.js").Issuer} Issuer */
/** @typedef {import("./known-tokens.js").Known} Known */
/** @typedef {import("./revocations.js").Place} Place */
/** @typedef {import("./revocations.js").Revocation} Revocation */
/** @typedef {import("./verdict.js").Identity} Identity */
/** @typedef {import("./verdict.js").Reason} Reason */
/** @typedef {import("./watches.js").Watch} Watch */

/** @typedef {object} Options
 * @property {string} token `HUB_GUARD_TOKEN` of the hub
 * @property {readonly Issuer[]} [issuers] whose tokens are accepted
 * @property {string} [secret] signs tickets; without `issuers` it verifies tokens, too (HS256)
 * @property {string} [adminToken] an administrator's token of the hub, for `endSession`
 * @property {number} [maxStaleness] for how many seconds after a confirmation the guard decides alone
 * @property {"ask" | "refuse" | "allow"} [onStale] what to do then: ask the hub, refuse, or go on
 * @property {number} [startTimeout] for how many seconds `start` waits for the hub
 * @property {(text: string) => void} [log] told when the hub cannot be reached, and when it can again
 */

/** @typedef {object} TicketOptions
 * @property {string} [issuer] the user's issuer entry
 * @property {number} [loginTime] when the login began, in NumericDate seconds
 * @property {number} [lifetime] seconds
 * @property {string} [name] the user's name, for people
 * @property {Record<string, unknown>} [claims] further claims
 */

const FRESHNESS_CHECK_MS = 500;
const QUESTION_LIFETIME = 60;

export class Guard {
  #addresses;
  #options;
  #log;
  #issuers;
  #issuer;
  #clock = monotonicClock();
  #state = new FeedState();
  #known = new KnownTokens();
  #watches = new Watches((place) => this.#factsOf(place));
  /** @type {Set<(logout: Revocation) => void>} */
  #onLogout = new Set();
  /** @type {Set<(isStale: boolean) => void>} */
  #onStale = new Set();
  /** @type {Set<() => void>} */
  #onReady = new Set();
  #questions;
  /** @type {Feed | undefined} */
  #feed;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #wasStale = true;

  /** @param {string | readonly string[]} url the hub, or several replicas of it
   * @param {Options} options */
  constructor(url, options) {
    const {
      onStale = "ask",
      secret,
      log = (text) => console.warn(`logout-hub-guard: ${text}`),
    } = options;
    if (!["ask", "refuse", "allow"].includes(onStale))
      throw new Error(`onStale: ${onStale} is not ask, refuse or allow`);
    if (!options.token) throw new Error("token: the hub's HUB_GUARD_TOKEN is missing");
    this.#addresses = typeof url === "string" ? [url] : [...url];
    this.#options = { maxStaleness: 10, startTimeout: 5, ...options, onStale };
    this.#log = log;
    this.#issuers = new Issuers(options.issuers ?? (secret ? [{ secret }] : []), log);
    const names = new Set(this.#issuers.entries.map(({ rules }) => rules.issuer ?? ""));
    this.#issuer = names.size === 1 ? [...names][0] : "";
    this.#questions = new Questions(() => this.#bestAddresses());
  }

  /** Begin to follow the hub. Resolves once the guard knows what is revoked, or after `startTimeout`:
   * then it goes on trying, and `onStale` says what to do meanwhile. Whether it is ready is told. */
  async start() {
    if (!this.#feed) {
      this.#feed = new Feed({
        addresses: this.#addresses,
        token: this.#options.token,
        state: this.#state,
        clock: this.#clock,
        onHeard: (heard) => this.#take(heard),
        log: (text) => this.#log(text),
      });
      this.#feed.follow();
      this.#timer = setInterval(() => this.#tellStaleness(), FRESHNESS_CHECK_MS).unref();
    }
    if (!this.isReady) await this.#readiness();
    if (!this.isReady) this.#log(`started without the hub: on_stale is ${this.#options.onStale}`);
    return this.isReady;
  }

  /** Follow the hub no longer. */
  close() {
    this.#feed?.close();
    this.#feed = undefined;
    clearInterval(this.#timer);
    for (const tell of this.#onReady) tell();
  }

  /** Whether the guard has heard what is in force. */
  get isReady() {
    return this.#state.isReady;
  }

  /** For how many seconds there may be logouts that were not heard; Infinity before the first
   * confirmation. */
  get staleness() {
    return Math.max(0, this.#state.freshness.staleness(this.#clock()));
  }

  /** How many revocations are in force, and how many sessions are watched. */
  get sizes() {
    return { revocations: this.#state.revocations.size, watches: this.#watches.size };
  }

  /** The time by the store's clock, in NumericDate seconds: date a login by it. Throws `unavailable`
   * before the first confirmation. */
  now() {
    const now = this.#state.freshness.storeTime(this.#clock());
    if (Number.isNaN(now)) throw new HubError("unavailable", "the hub has not told its time yet");
    return now;
  }

  /** Whose token it is, if its session is alive. Rejects with a HubError.
   * @param {string} token @returns {Promise<Identity>} */
  async check(token) {
    const known = this.#known.get(token, this.#issuers.generation()) ?? (await this.#verify(token));
    await this.#admit(known.identity, known.place, known);
    return known.identity;
  }

  /** Check a session of the app's own, which no token is needed for. Rejects with a HubError.
   * @param {string} user @param {string} sid
   * @param {number} loggedInAt by `now`, in NumericDate seconds
   * @param {{issuer?: string}} [options] @returns {Promise<Identity>} */
  async checkSession(user, sid, loggedInAt, { issuer } = {}) {
    const identity = this.#identityOf(user, sid, loggedInAt, issuer);
    await this.#admit(identity, placeOf(identity));
    return identity;
  }

  /** Wait for the end of a session. Without `loggedInAt`, whatever ends sessions of this name from
   * now on ends it.
   * @param {string} user @param {string} sid
   * @param {{issuer?: string, loggedInAt?: number}} [options] @returns {Watch} */
  watch(user, sid, { issuer, loggedInAt } = {}) {
    const identity = this.#identityOf(user, sid, loggedInAt ?? 0, issuer);
    return this.#watch(identity, loggedInAt === undefined ? undefined : identity);
  }

  /** Wait for the end of a session that `check` or `checkSession` has just found alive.
   * @param {Identity} identity @returns {Watch} */
  watchIdentity(identity) {
    return this.#watch(identity, identity);
  }

  /** Be told of each logout as it is heard. @param {(logout: Revocation) => void} tell
   * @returns {() => void} ends that */
  onLogout(tell) {
    return subscribe(this.#onLogout, tell);
  }

  /** Be told when the guard becomes stale (true), and when it is fresh again (false).
   * @param {(isStale: boolean) => void} tell @returns {() => void} ends that */
  onStale(tell) {
    return subscribe(this.#onStale, tell);
  }

  /** A short-lived token with which a browser connects to the hub, signed with the secret.
   * @param {string} user @param {string} sid @param {TicketOptions} [options]
   * @returns {Promise<string>} */
  async mintTicket(user, sid, options = {}) {
    const entry = this.#issuers.entries.find((one) => one.secret !== undefined);
    const secret = this.#options.secret ?? entry?.secret;
    if (secret === undefined) throw new Error("secret: is needed to sign tickets");
    const now = this.#state.freshness.storeTime(this.#clock());
    return signTicket({
      secret,
      rules: entry?.rules,
      issuer: options.issuer ?? this.#issuer,
      user,
      sid,
      // The hub judges it, and so it does not matter whose clock it is before the hub is heard.
      now: Number.isNaN(now) ? Date.now() / 1000 : now,
      ...options,
    });
  }

  /** End a session at the hub, or all sessions of the user if `sid` is missing; resolves to the
   * hub's receipt. It needs `adminToken`.
   * @param {string} user @param {string | undefined} sid
   * @param {{reason?: Reason, issuer?: string, message?: string}} [options] @returns {Promise<any>} */
  async endSession(user, sid, { reason = "user", issuer, message } = {}) {
    const { adminToken } = this.#options;
    if (!adminToken) throw new Error("adminToken: is needed to end sessions");
    const iss = issuer ?? (this.#issuer || undefined);
    return this.#questions.command("/admin/logout", adminToken, {
      user,
      sid,
      reason,
      iss,
      message,
    });
  }

  /** @param {string} user @param {string} sid @param {number} loggedInAt @param {string} [issuer]
   * @returns {Identity} */
  #identityOf(user, sid, loggedInAt, issuer) {
    const iss = issuer ?? this.#issuer;
    const at = readDate("login time", loggedInAt);
    return {
      user: readName("user", user),
      iss,
      userKey: userKey(iss, user),
      sid: readName("sid", sid),
      iat: at,
      loginAt: at,
      // Nobody remembers the logouts of an older login.
      exp: at + this.#state.lifetime * 1e6,
      nbf: 0,
      scopes: [],
      perToken: false,
      leeway: 0,
    };
  }

  /** @param {string} token @returns {Promise<Known>} */
  async #verify(token) {
    const identity = await this.#issuers.verify(token);
    const known = { token, identity, place: placeOf(identity) };
    this.#known.add(known);
    return known;
  }

  /** Throw unless a session is alive. `known` is its token, if there is one.
   * @param {Identity} identity @param {Place} place @param {Known} [known]
   * @returns {Promise<void> | undefined} */
  #admit(identity, place, known) {
    const now = this.#clock();
    const { freshness, partitions } = this.#state;
    const facts = this.#factsOf(place);
    const isFresh = freshness.staleness(now, place.crc % partitions) <= this.#options.maxStaleness;
    const time = freshness.latestStoreTime(now) * 1e6;
    const refusal = this.isReady ? judge(identity, facts, time) : undefined;
    if (refusal && refusal.code !== "token_too_old") {
      if (known && refusal.code === "token_expired") this.#known.drop(known.token);
      throw refusal;
    }
    if (refusal) return this.#settle(refusal, newest(facts.cutoffs)?.horizon, isFresh, known);
    if (isFresh) return undefined;
    return this.#whenStale(identity, known);
  }

  /** Find out about a token of the very second of a logout: the hub knows whether its session was
   * there later. @param {HubError} refusal @param {number | undefined} cutoff its horizon
   * @param {boolean} isFresh @param {Known} [known] */
  async #settle(refusal, cutoff, isFresh, known) {
    if (!known || this.#options.onStale === "refuse") throw refusal;
    if (isFresh && known.accepted === cutoff) return;
    const refused = await this.#questions.verify(known.token);
    // What the hub did not say, the guard knows.
    if (refused) throw refused.code === "unavailable" ? refusal : refused;
    known.accepted = cutoff;
  }

  /** @param {Identity} identity @param {Known} [known] */
  async #whenStale(identity, known) {
    const { onStale } = this.#options;
    if (onStale === "allow" && this.#isInTime(identity)) return;
    if (onStale === "ask") {
      const token = known?.token ?? (await this.#askingTicket(identity));
      const refusal = await this.#questions.verify(token);
      if (!refusal) return;
      throw refusal;
    }
    throw new HubError("unavailable", "the guard has not heard from the hub for too long");
  }

  /** Whether a token is not over by any clock: while the hub has not told its time, by ours.
   * @param {Identity} identity */
  #isInTime({ exp, leeway }) {
    return this.isReady || exp + leeway > Date.now() * 1000;
  }

  /** @param {Identity} identity */
  async #askingTicket({ user, sid, iss, loginAt = 0 }) {
    try {
      const loginTime = loginAt / 1e6;
      return await this.mintTicket(user, sid, {
        issuer: iss,
        loginTime,
        lifetime: QUESTION_LIFETIME,
      });
    } catch (cause) {
      const why =
        "the guard has not heard from the hub for too long, and has no secret to ask with";
      throw new HubError("unavailable", why, { cause });
    }
  }

  /** @param {Identity} name @param {Identity} [identity] */
  #watch(name, identity) {
    const place = placeOf(name);
    const { freshness, partitions } = this.#state;
    const since = freshness.heardUntil(place.crc % partitions) * 1e6;
    return this.#watches.add(place, since, identity);
  }

  /** @param {Place} place */
  #factsOf(place) {
    return this.#state.revocations.facts(place, place.crc % this.#state.partitions);
  }

  /** @param {import("./feed-state.js").Heard} heard */
  #take({ logout, isReady, isConfirmed }) {
    if (logout) {
      const { user, iss = "" } = logout;
      const isOfUser = user !== undefined && user !== null;
      this.#watches.check(isOfUser ? userKey(iss, user) : undefined, logout);
      for (const tell of this.#onLogout) this.#tell(tell, logout);
    }
    if (isReady) {
      this.#watches.check();
      for (const tell of this.#onReady) tell();
    }
    if (isReady || isConfirmed) this.#tellStaleness();
  }

  #tellStaleness() {
    const isStale = this.staleness > this.#options.maxStaleness;
    if (isStale === this.#wasStale) return;
    this.#wasStale = isStale;
    for (const tell of this.#onStale) this.#tell(tell, isStale);
  }

  /** Run the app's function; an error in it is its own. @template T
   * @param {(value: T) => void} tell @param {T} value */
  #tell(tell, value) {
    try {
      tell(value);
    } catch (error) {
      this.#log(`a function of the app threw: ${error}`);
    }
  }

  #readiness() {
    const { promise, resolve } = withResolvers();
    const timer = setTimeout(resolve, this.#options.startTimeout * 1000);
    this.#onReady.add(resolve);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#onReady.delete(resolve);
    });
  }

  /** The hub's addresses, the one that the feed comes from first. */
  #bestAddresses() {
    const best = this.#feed?.address;
    return [...this.#addresses].sort((a, b) => Number(b === best) - Number(a === best));
  }
}

/** @template T @param {Set<T>} subscribers @param {T} one */
function subscribe(subscribers, one) {
  subscribers.add(one);
  return () => {
    subscribers.delete(one);
  };
}

function withResolvers() {
  /** @type {() => void} */
  let resolve = () => undefined;
  /** @type {Promise<void>} */
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
