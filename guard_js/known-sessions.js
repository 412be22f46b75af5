/** The sessions of an app's own, which have no token.
 *
 * The keys of facts about them are cached, since hashing is most of a check's cost.
 */
import { readDate, readName } from "./claims.js";
import { userKey } from "./names.js";
import { namesOf } from "./revocations.js";

/** @typedef {import("./feed-state.js").FeedState} FeedState */
/** @typedef {import("./revocations.js").Names} Names */
/** @typedef {import("./verdict.js").Identity} Identity */
/** @typedef {{iss: string, names: Names}} Named */

const MAX_SESSIONS = 20_000;

export class KnownSessions {
  #state;
  #resolve;
  /** @type {Map<string, Named>} */
  #sessions = new Map();

  /** @param {FeedState} state
   * @param {(issuer?: string) => string} resolve returns the `iss` of the entry that is meant */
  constructor(state, resolve) {
    this.#state = state;
    this.#resolve = resolve;
  }

  /** A session, and the keys of facts about it; throws a HubError if there can be no such session.
   * @param {string} user @param {string} sid @param {number} loggedInAt in NumericDate seconds
   * @param {string} [issuer] @returns {{identity: Identity, names: Names}} */
  find(user, sid, loggedInAt, issuer) {
    const at = readDate("login time", loggedInAt);
    const { iss, names } = this.#name(user, sid, issuer);
    const identity = {
      user,
      iss,
      userKey: names.userKey,
      sid,
      iat: at,
      loginAt: at,
      // The hub does not remember logouts of older logins.
      exp: at + this.#state.lifetime * 1e6,
      nbf: 0,
      scopes: [],
      perToken: false,
      leeway: 0,
    };
    return { identity, names };
  }

  /** @param {string} user @param {string} sid @param {string} [issuer] @returns {Named} */
  #name(user, sid, issuer) {
    const key = `${user}\n${sid}\n${issuer ?? ""}`;
    const known = this.#sessions.get(key);
    if (known) return known;
    const iss = this.#resolve(issuer);
    // Names hold no line feeds, so each key is that of one session.
    const name = { iss, userKey: userKey(iss, readName("user", user)), sid: readName("sid", sid) };
    const found = { iss, names: namesOf(name) };
    this.#sessions.set(key, found);
    if (this.#sessions.size > MAX_SESSIONS) {
      const [oldest] = this.#sessions.keys();
      this.#sessions.delete(oldest);
    }
    return found;
  }
}
