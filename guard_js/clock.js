/** A clock that only goes forward, also while the machine sleeps. */
import { uptime } from "node:os";

const NOTICEABLE_MS = 1000;

/** @typedef {{awakeMs: () => number, wallMs: () => number, upSeconds: () => number}} Sources */

/** @type {Sources} */
const SOURCES = { awakeMs: () => performance.now(), wallMs: Date.now, upSeconds: uptime };

/** A function that returns the seconds since some fixed instant.
 *
 * `performance.now` stops while the machine is suspended; `os.uptime` does not, but costs a system
 * call. So it is only read when the time of day has moved differently.
 * @param {Sources} [sources] */
export function monotonicClock({ awakeMs, wallMs, upSeconds } = SOURCES) {
  const ahead = upSeconds() - awakeMs() / 1000;
  let apart = wallMs() - awakeMs();
  let asleep = 0;
  return () => {
    const awake = awakeMs();
    const moved = wallMs() - awake - apart;
    if (moved > NOTICEABLE_MS || moved < -NOTICEABLE_MS) {
      apart += moved;
      asleep = Math.max(asleep, upSeconds() - awake / 1000 - ahead);
    }
    return awake / 1000 + asleep;
  };
}
