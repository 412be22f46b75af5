/** Node's socket.io server, which ends and refuses sessions as the hub does. */
/** @import { Place } from "./own.js" */
import { REVOKED, startHub } from "../support.js";
import { readToken } from "./tokens.js";

/** @param {string | undefined} header */
const cookieOf = (header) => /\bsession=([^;]+)/.exec(header ?? "")?.[1];

/** @param {import("node:test").TestContext} t
 * @param {{pings?: {interval: number, timeout: number}}} [options] @returns {Promise<Place>} */
export async function startStock(t, { pings } = {}) {
  /** @type {Map<string, object>} logouts by user and by session */
  const logouts = new Map();
  let hub = await start(0);
  const { port } = hub;

  /** @param {string | undefined} token */
  function sessionOf(token) {
    const { sub, sid } = readToken(token) ?? {};
    return `${sub}/${sid}`;
  }

  /** @param {string | undefined} token */
  function judge(token) {
    const claims = readToken(token);
    if (!claims) return { code: "token_invalid", title: "The token is not valid" };
    const logout = logouts.get(claims.sub) ?? logouts.get(sessionOf(token));
    if (logout) return { ...REVOKED, logout };
    return claims.exp * 1000 < Date.now()
      ? { code: "token_expired", title: "The token has expired" }
      : undefined;
  }

  /** @param {number} where */
  async function start(where) {
    const times = pings && {
      pingInterval: pings.interval * 1000,
      pingTimeout: pings.timeout * 1000,
    };
    const started = await startHub(t, times, where);
    started.io.use(({ handshake: { auth, headers }, data }, next) => {
      Object.assign(data, { token: auth.token ?? cookieOf(headers.cookie), device: auth.device });
      const isForeign = !auth.token && headers.origin !== "https://app.example";
      const problem = isForeign
        ? { code: "origin_not_allowed", title: "The origin is not allowed" }
        : judge(data.token);
      next(problem && Object.assign(new Error(problem.code), { data: problem }));
    });
    started.io.on("connection", (socket) => {
      const { sub, sid, exp } = readToken(socket.data.token) ?? {};
      const timer = setTimeout(
        () => tell([socket], { scope: "session", reason: "expired", sid }),
        (exp ?? 0) * 1000 - Date.now(),
      );
      socket.on("disconnect", () => clearTimeout(timer));
      socket.on("logout", async ({ scope = "all", reason = "user" }, acknowledge) => {
        const logout = { id: "logout", scope, reason, message: null, at: Date.now() / 1000 };
        const found = socketsOf(sub).filter((other) => scope === "all" || other !== socket);
        for (const { data } of found) logouts.set(sessionOf(data.token), logout);
        acknowledge({ ok: true, ...logout, sessions: [], complete: false });
        await tell(found, logout);
      });
    });
    started.answer = ({ path, headers, body }) => {
      const token = headers.authorization?.replace("Bearer ", "") ?? cookieOf(headers.cookie);
      const problem = judge(token);
      if (problem) return [401, { ...problem, ...("logout" in problem && problem.logout) }];
      const { sub: user, sid } = readToken(token) ?? {};
      if (path === "/session") return [200, { user, sid }];
      if (path !== "/logout" || body.scope !== "all") return [404, { code: "not_found" }];
      const logout = { id: "logout", scope: "all", reason: "user", message: null, at: 5 };
      logouts.set(user ?? "", logout);
      return [200, { ...logout, sessions: [], complete: false }];
    };
    return started;
  }

  /** @param {string | undefined} user */
  const socketsOf = (user) =>
    [...hub.io.sockets.sockets.values()].filter(({ data }) => readToken(data.token)?.sub === user);

  /** @param {import("socket.io").Socket[]} sockets @param {object} logout */
  const tell = (sockets, logout) =>
    Promise.all(
      sockets.map(async (socket) => {
        const told = socket.timeout(2000).emitWithAck("logoutNotification", logout);
        const state = await told.then(
          () => "acknowledged",
          () => "notified",
        );
        socket.disconnect(true);
        return state;
      }),
    );

  return {
    port,
    async end(user, why) {
      const logout = { id: "logout", scope: "all", message: null, sid: null, at: 5, ...why };
      logouts.set(user, logout);
      return tell(socketsOf(user), logout);
    },
    devices: async (token) => socketsOf(readToken(token)?.sub).map((socket) => socket.data.device),
    async restart() {
      await hub.io.close();
      hub = await start(port);
    },
  };
}
