/**
 * Stores logouts that have not reached the hub yet, so that they outlive the page; this page or a
 * later one of its origin delivers them.
 *
 * @typedef {{hub: string, key: string, command: Command, at: number, session?: string,
 *   user?: string, token?: string}} Entry `session`, `user` and `token` of who logged out; `at` in s
 *   since 1970
 * @typedef {{scope: string, sid?: string, reason?: string, message?: string}} Command
 */
/** @import { Core, Hooks } from "./core.js" */
/** @import { Init } from "./requests.js" */
import { PENDING } from "./clearing.js";
import { fetchLogin, fetchSession, isTransient } from "./current-login.js";
import { toNotification } from "./frames.js";
import { failure, postLogout } from "./requests.js";
import { backoffDelay, createTimer, shared } from "./tasks.js";

/** Whether it can be sent at all: otherwise it would be retried forever. The body of a `keepalive`
 * request has at most 64 KiB. @param {any} entry */
const isEntry = (entry) =>
  /^http[^,]*,[\w-]{1,99},(all|session),[!-~]*$/.test(
    [entry?.hub, entry?.key, entry?.command?.scope, entry?.token].join(),
  ) &&
  entry.at > 0 &&
  JSON.stringify(entry.command).length < 20_000;

/** Anything invalid in the storage is discarded, so that connecting does not wait for it.
 * @returns {Entry[]} none also where the browser forbids storage */
function read() {
  let /** @type {Entry[]} */ entries = [];
  try {
    const text = localStorage.getItem(PENDING) ?? "[]";
    try {
      entries = [JSON.parse(text)].flat().filter(isEntry);
    } catch {}
    if (JSON.stringify(entries) !== text) write(entries);
  } catch {}
  return entries;
}

/** @param {Entry[]} entries */
function write(entries) {
  if (entries.length) localStorage.setItem(PENDING, JSON.stringify(entries));
  else localStorage.removeItem(PENDING);
}

/** @param {Core} core @returns {Hooks} */
export function offline(core) {
  const { session, wake } = core;
  const { origin, send } = core.requests;
  const timer = createTimer();
  let attempt = 0;

  /** @param {Entry} entry */
  async function deliver(entry) {
    const { command, token: kept } = entry;
    const { token, login } = await fetchLogin(core);
    // A page that never reached the hub only knows from its token who logged out.
    const owner = entry.session ? entry : kept && (await fetchSession(core, kept));
    const sid = owner?.session ?? owner?.sid;
    // For an unknown session there is only the cookie, which may be that of a newer login. The hub
    // says how old the login is, and the browser how long ago this was: no clocks are compared.
    const isOwn =
      login && (owner ? login.sid === sid : !(login.login_age < Date.now() / 1000 - entry.at));
    /** @param {string | undefined} as @param {object} body @param {Init} [init] */
    const post = (as, body, init) =>
      session.restore(() =>
        send("/logout", { ...postLogout(entry.key, body), token: as, ...init }),
      );
    let answer;
    if (isOwn) answer = await post(token, command);
    else if (owner?.user && login?.user === owner.user)
      // A newer login of the same user survives.
      answer = await post(token, {
        ...command,
        ...(command.scope === "all" ? { scope: "others" } : { sid }),
      });
    // No credentials: the response must not clear the cookies and data of the current login.
    else if (kept) answer = await post(kept, command, { credentials: "omit" });
    if (answer && isTransient(answer.status)) throw failure();
    // Delivered, refused for good, or without credentials: delete it, with its token.
    write(read().filter(({ key }) => key !== entry.key));
    if (answer?.status !== 200) return;
    void session.callHooks("ondelivered", answer.body);
    if (!isOwn) return;
    void session.dispatch("logoutStarted");
    void session.dispatch("ended", toNotification(answer.body, { ...command, sid }));
  }

  const deliverAll = shared(async () => {
    for (const entry of read()) if (entry.hub === origin) await deliver(entry);
  });

  return {
    /** Pending logouts come first: a session that was logged out must not be used again. */
    connecting: () =>
      deliverAll().then(
        () => (attempt = 0),
        () => {
          // Pending logouts are also delivered if the app closes its client as soon as that has ended.
          if (session.status !== "closed" || session.why)
            timer.start(backoffDelay(attempt++), wake);
          return true;
        },
      ),

    /** A repeated logout is stored once. */
    async queueLogout(key, command, why) {
      const entry = {
        hub: origin,
        key,
        command,
        at: Date.now() / 1000,
        session: session.sid,
        user: session.user,
        token: session.credentials.last(),
      };
      try {
        if (!session.why) write([...read(), entry]);
      } catch {
        return undefined;
      }
      await session.dispatch("ended", toNotification({ pending: true }, why));
      return { pending: true, scope: command.scope, sessions: [] };
    },

    closed() {
      if (!session.why) timer.stop();
    },
  };
}
