/** Decides whether a session is admitted: by what the feed said, or if that is not enough, by the
 * hub's answer.
 *
 * An answer of the hub only holds for the facts that were known when it was asked: if a logout that
 * concerns the session arrives in the meantime, the session is judged again.
 */
import { HubError } from "./errors.js";
import { judge, newest } from "./verdict.js";

/** @typedef {import("./feed-state.js").FeedState} FeedState */
/** @typedef {import("./known-tokens.js").Known} Known */
/** @typedef {import("./questions.js").Questions} Questions */
/** @typedef {import("./revocations.js").Names} Names */
/** @typedef {import("./verdict.js").Facts} Facts */
/** @typedef {import("./verdict.js").Identity} Identity */

/** What to do after hearing nothing from the hub for too long: ask it, refuse, or carry on.
 * @typedef {"ask" | "refuse" | "allow"} OnStale */

/** A session to judge, with its token if it has one.
 * @typedef {{identity: Identity, names: Names, known?: Known}} Session */

/** What is known about it now.
 * @typedef {{facts: Facts, isFresh: boolean, refusal?: HubError}} Finding */

const MAX_ATTEMPTS = 3;
/** How many seconds a hub remembers logouts by default (HUB_LOGIN_MAX_LIFETIME). */
const USUALLY_REMEMBERED = 30 * 86_400;
/** Refusals of a guard's ticket that concern the session, not the ticket itself. */
const ABOUT_SESSIONS = ["token_revoked", "login_required", "token_too_old"];

export class Admission {
  #state;
  #clock;
  #questions;
  #maxStaleness;
  #onStale;
  #mintTicket;

  /** @param {{state: FeedState, clock: () => number, questions: Questions, maxStaleness: number,
   *   onStale: OnStale, mintTicket: (identity: Identity) => Promise<string>}} options `mintTicket`
   *   makes a token for an app's own session, to ask the hub with */
  constructor({ state, clock, questions, maxStaleness, onStale, mintTicket }) {
    this.#state = state;
    this.#clock = clock;
    this.#questions = questions;
    this.#maxStaleness = maxStaleness;
    this.#onStale = onStale;
    this.#mintTicket = mintTicket;
  }

  /** Throw or reject with a HubError unless the session is alive.
   * @param {Session} session @returns {Promise<void> | undefined} usually undefined: no wait */
  admit(session) {
    const finding = this.#find(session);
    if (finding.isFresh && !finding.refusal) return undefined;
    return this.#settle(session, finding);
  }

  /** What is known of a session. @param {Names} names */
  factsOf(names) {
    return this.#state.revocations.facts(names, names.crc % this.#state.partitions);
  }

  /** @param {Session} session @returns {Finding} */
  #find({ identity, names, known }) {
    const { freshness, partitions } = this.#state;
    const now = this.#clock();
    const facts = this.factsOf(names);
    const isFresh = freshness.staleness(now, names.crc % partitions) <= this.#maxStaleness;
    const refusal = this.#judge(identity, facts, now, known);
    return { facts, isFresh, refusal };
  }

  /** @param {Identity} identity @param {Facts} facts @param {number} now @param {Known} [known] */
  #judge(identity, facts, now, known) {
    const time = this.#state.freshness.latestStoreTime(now) * 1e6;
    if (Number.isNaN(time)) {
      // Only with `allow` do tokens expire by this machine's clock.
      if (this.#onStale === "allow") return judge(identity, { cutoffs: [] }, Date.now() * 1000);
      return undefined;
    }
    const { tombstone } = facts;
    const isAccepted =
      known?.accepted !== undefined && known.accepted === markOf(newest(facts.cutoffs));
    return judge(identity, isAccepted ? { tombstone, cutoffs: [] } : facts, time);
  }

  /** @param {Session} session @param {Finding} finding */
  async #settle(session, finding) {
    const { identity, known } = session;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const { facts, isFresh, refusal } = finding;
      // The hub may have registered the session since the logout, and then accepts it.
      const mayBeRegistered =
        refusal?.code === "token_too_old" && identity.loginAt === undefined && known;
      if (refusal && (!mayBeRegistered || this.#onStale === "refuse")) throw refusal;
      if (isFresh && !refusal) return;
      if (!mayBeRegistered && this.#onStale === "allow") return;
      if (!mayBeRegistered && this.#onStale === "refuse")
        throw new HubError(
          "unavailable",
          "the guard has had no confirmation from the hub for too long",
        );
      const mark = markAll(facts);
      const askedAt = await this.#ask(session, mark);
      // What was asked too long ago says nothing of now, if the answer came late or was read late.
      const isTimely = this.#clock() - askedAt <= this.#maxStaleness;
      if (isTimely && mark === markAll(this.factsOf(session.names))) {
        if (known && mayBeRegistered) known.accepted = markOf(newest(facts.cutoffs));
        return;
      }
      finding = this.#find(session);
    }
    throw new HubError("unavailable", "the hub's answers come too late, or logouts too quickly");
  }

  /** Reject unless the hub says that the session is alive; resolves to when it was asked.
   * @param {Session} session @param {string} mark the facts that are known */
  async #ask({ identity, known }, mark) {
    const age = Math.min(1, this.#maxStaleness);
    if (known) {
      const { refusal, askedAt } = await this.#questions.verify(known.token, age, mark);
      if (refusal) throw refusal;
      return askedAt;
    }
    const { loginAt = 0 } = identity;
    if (!this.#state.isReady && Date.now() / 1000 - loginAt / 1e6 > USUALLY_REMEMBERED)
      throw new HubError("unavailable", "the hub has not said for how long it remembers logouts");
    const ticket = await this.#mintTicket(identity);
    const name = `${identity.userKey} ${identity.sid} ${loginAt}`;
    const { refusal, askedAt } = await this.#questions.verify(ticket, age, mark, name);
    if (!refusal) return askedAt;
    if (refusal.code === "unavailable" || ABOUT_SESSIONS.includes(refusal.code)) throw refusal;
    throw new HubError(
      "unavailable",
      `the hub does not accept the guard's ticket: ${refusal.detail}`,
    );
  }
}

/** @param {import("./verdict.js").Fact | undefined} fact */
const markOf = (fact) => (fact ? `${fact.horizon}/${fact.at}` : "");

/** @param {Facts} facts */
const markAll = ({ tombstone, cutoffs }) => `${markOf(tombstone)} ${markOf(newest(cutoffs))}`;
