/**
 * Logouts that the hub has not heard of yet: kept where they survive the page, and delivered by
 * this page or by any later one of its origin.
 *
 * @typedef {{hub: string, key: string, command: Command, at: number, session?: string,
 *   user?: string, token?: string}} Entry `session`, `user` and `token` of who logged out; `at` in s
 *   since 1970
 * @typedef {{scope: string, sid?: string, reason?: string, message?: string}} Command
 */
/** @import { Init, Requests } from "./requests.js" */
/** @import { Session } from "./session.js" */
import { failure, isLater } from "./requests.js";
import { shared } from "./tasks.js";

/** The key in `localStorage`, which clearing leaves alone. */
export const PENDING = "logout-hub:pending";

/** @returns {Entry[]} none also where the browser forbids storage */
function read() {
  try {
    const entries = JSON.parse(localStorage.getItem(PENDING) ?? "");
    return Array.isArray(entries) ? entries : [];
  } catch {
    return [];
  }
}

/** @param {Entry[]} entries */
function write(entries) {
  if (entries.length) localStorage.setItem(PENDING, JSON.stringify(entries));
  else localStorage.removeItem(PENDING);
}

/** How a newer login of the same user asks for it, and survives. @param {Entry} entry */
function asOther({ command, session }) {
  if (command.scope === "session") return { ...command, sid: command.sid ?? session };
  return { ...command, scope: "others" };
}

/** @param {Requests} requests @param {Session} session
 * @param {(answer: any, entry: Entry, isOwn: boolean) => void} onDelivered
 *   `isOwn` when the present session was the one to end */
export function createPending({ origin, send, present }, { keeping }, onDelivered) {
  /** @param {Entry} entry */
  async function deliver(entry) {
    const { command, session, user, token: kept } = entry;
    const { token, now } = await present();
    // Of an unknown session only the cookie is left: it must not be that of a newer login.
    const isOwn = now && (session ? now.sid === session : !kept && !(now.created_at > entry.at));
    const headers = { "Idempotency-Key": entry.key };
    /** @param {Init} init */
    const post = (init) => keeping(() => send("POST", "/logout", { headers, ...init }));
    let answer;
    if (isOwn) answer = await post({ token, body: command });
    else if (user && now?.user === user) answer = await post({ token, body: asOther(entry) });
    // The browser is not to act on what the hub says to somebody who has left.
    else if (kept) answer = await post({ token: kept, credentials: "omit", body: command });
    if (answer && isLater(answer.status)) throw failure();
    // Delivered, refused for good, or nobody's: the token is not kept any longer.
    write(read().filter(({ key }) => key !== entry.key));
    if (answer?.status === 200) onDelivered(answer.body, entry, isOwn);
  }

  return {
    /** @param {Omit<Entry, "hub" | "at">} entry @param {unknown} error thrown when it cannot be kept */
    keep(entry, error) {
      try {
        write([...read(), { ...entry, at: Date.now() / 1000, hub: origin }]);
      } catch {
        throw error;
      }
    },

    /** Rejects while the hub cannot be reached. */
    deliver: shared(async () => {
      for (const entry of read()) if (entry.hub === origin) await deliver(entry);
    }),
  };
}
