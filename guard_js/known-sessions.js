/** Caches the keys of facts about an app's own sessions, since hashing is most of a check's cost. */
import { readName } from "./claims.js";
import { userKey } from "./names.js";
import { namesOf } from "./revocations.js";

/** @typedef {import("./revocations.js").Names} Names */
/** @typedef {{iss: string, names: Names}} Named */

const MAX_SESSIONS = 20_000;

export class KnownSessions {
  #resolve;
  /** @type {Map<string, Named>} */
  #sessions = new Map();

  /** @param {(issuer?: string) => string} resolve returns the `iss` of the entry that is meant */
  constructor(resolve) {
    this.#resolve = resolve;
  }

  /** Where the facts about a session are; throws a HubError if there can be no such session.
   * @param {string} user @param {string} sid @param {string} [issuer] @returns {Named} */
  find(user, sid, issuer) {
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
