/** When an issuer's published keys are fetched, and what is known of a key that is not among them.
 *
 * The rule of `hub/core/key_schedule.py`, which says why; all times are in seconds, by any one clock.
 */

const LIFETIME = 3600;
/** How many seconds before the end of their lifetime keys are due. */
const RENEWED_EARLY = 60;
/** For keys that are not there; and until keys are due again if the last fetch failed. */
const COOL_DOWN = 30;
/** For keys that are not there, after a failed fetch. */
const FAILED_COOL_DOWN = 5;
/** The same, as long as there are no keys at all. */
const FIRST_COOL_DOWN = 1;

export class KeySchedule {
  /** How many fetches succeeded. */
  fetched = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  #hasFailed = false;
  /** When keys were last fetched, successfully, for a key that was not there. */
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** Whether a key that is not there may be one of the issuer's: it cannot be asked now. */
  get isFailing() {
    return this.#hasFailed || this.fetched === 0;
  }

  /** Whether to fetch keys again that are in use. Nobody has to wait for that.
   * @param {number} now */
  isDue(now) {
    if (this.fetched === 0) return false;
    const lasts = this.#hasFailed ? COOL_DOWN : LIFETIME - RENEWED_EARLY;
    return now - this.#endedAt > lasts;
  }

  /** In how many seconds to fetch for a key that is not there; 0 if at once. @param {number} now */
  wait(now) {
    if (this.fetched === 0) return Math.max(0, this.#endedAt + FIRST_COOL_DOWN - now);
    if (this.#hasFailed) return Math.max(0, this.#endedAt + FAILED_COOL_DOWN - now);
    return Math.max(0, this.#lookedAt + COOL_DOWN - now);
  }

  /** Note a fetch that has ended. @param {number} now @param {boolean} succeeded */
  noteFetch(now, succeeded) {
    if (succeeded) this.fetched += 1;
    this.#endedAt = now;
    this.#hasFailed = !succeeded;
  }

  /** Note that the last fetch was for a key that was not there; `found` if it is now. That counts even
   * then, since an issuer's servers may publish different keys in turn, but for the very first fetch.
   * @param {number} now @param {boolean} found */
  noteLook(now, found) {
    if (this.isFailing || (found && this.fetched === 1)) return;
    this.#lookedAt = now;
  }
}
