/** A guard: decides within a microsecond whether a session is alive, by the logouts that a hub streams.
 *
 * Until `maxStaleness` seconds after the hub's last confirmation, the guard decides by itself; after
 * that, `onStale` says what to do.
 */
import { Admission } from "./admission.js";
import { callSafely, Subscribers } from "./callbacks.js";
import { monotonicClock } from "./clock.js";
import { readEnviron } from "./environment.js";
import { HubError } from "./errors.js";
import { Feed } from "./feed.js";
import { FeedState } from "./feed-state.js";
import { Issuers } from "./issuers.js";
import { KnownSessions } from "./known-sessions.js";
import { KnownTokens } from "./known-tokens.js";
import { userKey } from "./names.js";
import { completeOptions, readAddresses } from "./options.js";
import { noteEnd } from "./own-logout.js";
import { Questions } from "./questions.js";
import { namesOf } from "./revocations.js";
import { signTicket } from "./tickets.js";
import { Watches } from "./watches.js";

/** @typedef {import("./known-tokens.js").Known} Known */
/** @typedef {import("./options.js").Metric} Metric */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./revocations.js").Names} Names */
/** @typedef {import("./revocations.js").Revocation} Revocation */
/** @typedef {import("./tickets.js").TicketOptions} TicketOptions */
/** @typedef {import("./verdict.js").Identity} Identity */
/** @typedef {import("./verdict.js").Reason} Reason */
/** @typedef {import("./watches.js").Watch} Watch */

const TICK_MS = 500;
const QUESTION_LIFETIME = 60;

export class Guard {
  #addresses;
  #options;
  #issuers;
  #clock = monotonicClock();
  #state = new FeedState();
  #known = new KnownTokens();
  #sessions = new KnownSessions(this.#state, (issuer) => this.#issuers.resolve(issuer));
  #questions = new Questions({
    addresses: () => this.#bestAddresses(),
    clock: this.#clock,
    measure: (name, value) => this.#measure(name, value),
  });
  #admission;
  #watches;
  /** @type {Subscribers<Revocation>} */
  #onLogout;
  /** @type {Subscribers<boolean>} */
  #onStale;
  /** @type {Set<() => void>} */
  #onReady = new Set();
  /** @type {Feed | undefined} */
  #feed;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #wasStale = true;

  /** @param {string | readonly string[]} url the hub, or several replicas of it
   * @param {Options} options */
  constructor(url, options) {
    this.#addresses = readAddresses(url);
    this.#options = completeOptions(options);
    const { issuers, maxStaleness, onStale, log } = this.#options;
    this.#issuers = new Issuers(issuers, log);
    this.#onLogout = new Subscribers(log);
    this.#onStale = new Subscribers(log);
    this.#admission = new Admission({
      state: this.#state,
      clock: this.#clock,
      questions: this.#questions,
      maxStaleness,
      onStale,
      mintTicket: (identity) => this.#mintTicketFor(identity),
    });
    this.#watches = new Watches((names) => this.#admission.factsOf(names), log);
  }

  /** A guard configured by the environment; `options` override or add to it.
   * docs/reference/guard-js.md lists the variables. Throws an Error that names an invalid one.
   * @param {Record<string, string | undefined>} [environ] @param {Partial<Options>} [options] */
  static fromEnviron(environ = process.env, options = {}) {
    const { urls, options: named } = readEnviron(environ);
    return new Guard(urls, { ...named, ...options });
  }

  /** Start following the hub. Resolves to true once the guard knows what is revoked, or to false after
   * `startTimeout`: then it keeps trying, and `onStale` says what to do in the meantime. */
  async start() {
    const { token, onStale, startTimeout, log } = this.#options;
    if (!this.#feed) {
      this.#feed = new Feed({
        addresses: this.#addresses,
        token,
        state: this.#state,
        clock: this.#clock,
        onConnect: () => this.#measure("connects", 1),
        onUpdate: (update) => this.#take(update),
        onEnd: () => this.#measure("staleness_seconds", this.staleness),
        log,
      });
      this.#feed.follow();
      this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    }
    if (!this.isReady) await this.#readiness(startTimeout);
    if (!this.isReady) log(`not ready yet, revocations are unknown: onStale="${onStale}" applies`);
    return this.isReady;
  }

  /** Stop following the hub: the guard becomes stale. */
  close() {
    this.#feed?.close();
    this.#feed = undefined;
    clearInterval(this.#timer);
    for (const callback of this.#onReady) callback();
  }

  /** Whether the guard knows which revocations are in force. */
  get isReady() {
    return this.#state.isReady;
  }

  /** How many seconds old the guard's knowledge is; Infinity before the first confirmation. */
  get staleness() {
    return Math.max(0, this.#state.freshness.staleness(this.#clock()));
  }

  /** How many revocations are in force, and how many sessions are watched. */
  get sizes() {
    return { revocations: this.#state.revocations.size, watches: this.#watches.size };
  }

  /** The store's time, in NumericDate seconds: record it as the time of a login. Throws `unavailable`
   * before the first confirmation. */
  now() {
    const now = this.#state.freshness.storeTime(this.#clock());
    if (Number.isNaN(now))
      throw new HubError("unavailable", "the guard has not received the time from the hub yet");
    return now;
  }

  /** The identity of a token, if its session is alive. Rejects with a HubError.
   * @param {string} token @returns {Promise<Identity>} */
  async check(token) {
    const known = this.#known.get(token) ?? (await this.#verify(token));
    const { identity, names } = known;
    const waiting = this.#admission.admit({ identity, names, known });
    if (waiting) await waiting;
    return identity;
  }

  /** The identity of an app's own session, without a token, if it is alive. Rejects with a HubError.
   * @param {string} user @param {string} sid
   * @param {number} loggedInAt by `now`, in NumericDate seconds
   * @param {{issuer?: string}} [options] @returns {Promise<Identity>} */
  async checkSession(user, sid, loggedInAt, { issuer } = {}) {
    const session = this.#sessions.find(user, sid, loggedInAt, issuer);
    const waiting = this.#admission.admit(session);
    if (waiting) await waiting;
    return session.identity;
  }

  /** Watch a session, to learn when it ends. Without `loggedInAt`, any logout of this session id from
   * now on ends it.
   * @param {string} user @param {string} sid
   * @param {{issuer?: string, loggedInAt?: number}} [options] @returns {Watch} */
  watch(user, sid, { issuer, loggedInAt } = {}) {
    const { identity, names } = this.#sessions.find(user, sid, loggedInAt ?? 0, issuer);
    return this.#watch(names, loggedInAt === undefined ? undefined : identity);
  }

  /** Watch a session that `check` or `checkSession` has just found alive.
   * @param {Identity} identity @returns {Watch} */
  watchIdentity(identity) {
    return this.#watch(namesOf(identity), identity);
  }

  /** Call a function with each logout from `isReady` on, at least once. What was missed arrives as soon
   * as the hub sends it, maybe without its id and texts, and several logouts of one user as the one
   * that includes the others.
   * @param {(logout: Revocation) => unknown} callback @returns {() => void} unsubscribes */
  onLogout(callback) {
    return this.#onLogout.add(callback);
  }

  /** Call a function with true when the guard becomes stale, with false when it is fresh again.
   * @param {(isStale: boolean) => unknown} callback @returns {() => void} unsubscribes */
  onStale(callback) {
    return this.#onStale.add(callback);
  }

  /** A short-lived token with which a browser connects to the hub, signed with the secret.
   * @param {string} user @param {string} sid @param {TicketOptions} [options]
   * @returns {Promise<string>} */
  mintTicket(user, sid, options = {}) {
    const storeTime = this.#state.freshness.storeTime(this.#clock());
    // The hub judges it, so this machine's clock is good enough for `iat`.
    const now = Number.isNaN(storeTime) ? Date.now() / 1000 : storeTime;
    return signTicket(this.#issuers, this.#options.secret, { user, sid, now, ...options });
  }

  /** End a session at the hub; resolves to the hub's receipt. It needs `adminToken`. Rejects with a
   * HubError. @param {string} user @param {string} sid
   * @param {{reason?: Reason, issuer?: string, message?: string}} [options] @returns {Promise<any>} */
  async endSession(user, sid, { reason = "user", issuer, message } = {}) {
    const { adminToken } = this.#options;
    if (!adminToken)
      throw new HubError("unavailable", "the guard has no adminToken to end sessions with");
    const iss = this.#issuers.resolve(issuer) || undefined;
    noteEnd({ userKey: userKey(iss ?? "", user), sid });
    const body = { user, sid, scope: "session", reason, iss, message };
    return this.#questions.command("/admin/logout", adminToken, body);
  }

  /** @param {string} token @returns {Promise<Known>} */
  async #verify(token) {
    if (this.#issuers.entries.length === 0)
      throw new HubError("invalid_request", "this guard has no issuers: it checks sessions only");
    const verification = await this.#issuers.verify(token);
    return this.#known.add({ ...verification, token, names: namesOf(verification.identity) });
  }

  /** A ticket to ask the hub with. @param {Identity} identity */
  #mintTicketFor({ user, sid, iss, loginAt = 0 }) {
    const loginTime = loginAt / 1e6;
    const issuer = iss || undefined;
    return this.mintTicket(user, sid, { issuer, loginTime, lifetime: QUESTION_LIFETIME });
  }

  /** @param {Names} names @param {Identity} [identity] */
  #watch(names, identity) {
    const { freshness, partitions } = this.#state;
    const since = freshness.knownUntil(names.crc % partitions) * 1e6;
    return this.#watches.add(names, since, identity);
  }

  /** @param {import("./feed-state.js").Update} update */
  #take({ logout, missed = [], isReady, isConfirmed, isReset }) {
    for (const one of missed) this.#onLogout.tell(one);
    if (logout) {
      const { user, iss = "" } = logout;
      const isOfUser = user !== undefined && user !== null;
      this.#watches.check(isOfUser ? userKey(iss, user) : undefined, logout);
      this.#onLogout.tell(logout);
    }
    if (isReset) this.#measure("resets", 1);
    if (isReady) {
      this.#measure("revocations", this.#state.revocations.size);
      this.#watches.check();
      for (const callback of this.#onReady) callback();
    }
    this.#measure("staleness_seconds", this.staleness);
    if (isReady || isConfirmed) this.#tellStaleness();
  }

  #tick() {
    this.#tellStaleness();
    this.#issuers.renewKeys();
  }

  #tellStaleness() {
    const isStale = this.staleness > this.#options.maxStaleness;
    if (isStale === this.#wasStale) return;
    this.#wasStale = isStale;
    this.#onStale.tell(isStale);
  }

  /** @param {Metric} name @param {number} value */
  #measure(name, value) {
    const { onMetric, log } = this.#options;
    if (onMetric) callSafely(log, () => onMetric(name, value), undefined);
  }

  /** @param {number} timeout */
  async #readiness(timeout) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    await new Promise((resolve) => {
      const done = () => {
        this.#onReady.delete(done);
        resolve(undefined);
      };
      timer = setTimeout(done, timeout * 1000);
      this.#onReady.add(done);
    });
    clearTimeout(timer);
  }

  /** The hub's addresses, beginning with the one that the feed is read from. */
  #bestAddresses() {
    const best = this.#feed?.address;
    return [...this.#addresses].sort((a, b) => Number(b === best) - Number(a === best));
  }
}
