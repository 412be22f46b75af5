/** The result of a logout, from the hub's receipt. */

/** @import { Outcome, Receipt } from "../core.js" */
/** @typedef {{text: string, outcomes: Outcome[]}} Line */

const ORDER = ["acknowledged", "uncleared", "telling", "notified", "cut", "offline"];
const ASKS = 4;
const WAIT_SECONDS = 5;

/** @param {Receipt} receipt @returns {Line[]} the sessions by their outcome, best first */
export function sortOutcomes({ sessions, complete }) {
  /** @param {Outcome} outcome */
  const textOf = ({ state, failed }) => {
    if (state === "acknowledged" && failed?.length) return "uncleared";
    return state === "notified" && !complete ? "telling" : state;
  };
  return ORDER.map((text) => ({
    text,
    outcomes: sessions.filter((outcome) => textOf(outcome) === text),
  })).filter(({ outcomes }) => outcomes.length);
}

/** Calls `tell` with each receipt until it is complete, for about 20 s at most, or until the hub
 * does not answer.
 * @param {{receipt: (id: string, wait?: number) => Promise<Receipt>}} hub @param {Receipt} answer
 * @param {(receipt: Receipt) => unknown} tell */
export async function followReceipt(hub, answer, tell) {
  tell(answer);
  let latest = answer;
  for (let asked = 0; answer.id && !latest.complete && asked < ASKS; asked++) {
    try {
      latest = await hub.receipt(answer.id, WAIT_SECONDS);
    } catch {
      return;
    }
    tell(latest);
  }
}
