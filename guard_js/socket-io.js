/** Sockets of an app's own, with a server of Socket.IO. */
import { HubError } from "./errors.js";
import { Gate } from "./gate.js";

/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */

/** What is needed of a server or a namespace of Socket.IO.
 * @typedef {{use: (middleware: (socket: any, next: (error?: any) => void) => void) => unknown}} Sockets */

/** Refuse sockets without a living session by `connect_error`, and disconnect them when theirs ends.
 * The token is `auth.token` of the client, or else as in a request. `socket.data.hubIdentity` is
 * who it is. A middleware is for one namespace: call this for each that you have. Throws an Error if the
 * server has `connectionStateRecovery`: that hands what was missed to whoever comes back, unasked.
 * @param {Sockets} sockets the server, for its main namespace, or a namespace
 * @param {Guard} guard
 * @param {Omit<import("./gate.js").GateOptions<any>, "loginUrl" | "exempt">} [options] */
export function guardSockets(sockets, guard, options = {}) {
  const { opts } = /** @type {any} */ (sockets).server ?? sockets;
  if (opts?.connectionStateRecovery)
    throw new Error("connectionStateRecovery: sockets that are recovered would pass the guard");
  /** @type {Gate<any>} */
  const gate = new Gate(guard, options);
  sockets.use(async (socket, next) => {
    /** @type {Identity | undefined} */
    let identity;
    try {
      const { token } = socket.handshake.auth;
      identity =
        typeof token === "string" && !options.session
          ? await guard.check(token)
          : await gate.admit(socket.request);
    } catch (error) {
      return next(describe(error));
    }
    socket.data.hubIdentity = identity;
    if (identity) disconnectWithSession(guard, identity, socket);
    next();
  });
}

/** Disconnect a socket when the session ends.
 * @param {Guard} guard @param {Identity} identity @param {any} socket */
function disconnectWithSession(guard, identity, socket) {
  const watch = guard.watchIdentity(identity);
  // It may go before it has connected, and then has no event of its own.
  socket.conn.once("close", watch.cancel);
  socket.once("disconnect", watch.cancel);
  watch.onEnd(() => (socket.connected ? socket.disconnect(true) : socket.conn.close()));
}

/** The error that `connect_error` brings to the client: as the hub's own, its message is the code.
 * @param {unknown} error */
function describe(error) {
  const known =
    error instanceof HubError ? error : new HubError("unavailable", "", { cause: error });
  const { code, title, retryable, detail, retryAfter, logout } = known;
  const data = {
    code,
    title,
    retryable,
    detail,
    retry_after: retryAfter,
    logout: logout && { scope: logout.scope, reason: logout.reason, at: logout.at / 1e6 },
    reauthenticate: code === "login_required" || undefined,
  };
  return Object.assign(new Error(code), { data });
}
