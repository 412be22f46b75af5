/** Guards an app's own sockets, served by a Socket.IO server. */
import { HubError } from "./errors.js";
import { Gate } from "./gate.js";
import { watchWhile } from "./lifetimes.js";

/** @typedef {import("./guard.js").Guard} Guard */
/** @typedef {import("./verdict.js").Identity} Identity */

/** The part of a Socket.IO server or namespace that is used here.
 * @typedef {{use: (middleware: (socket: any, next: (error?: any) => void) => void) => unknown}} Sockets */

/** Refuse sockets without a living session by `connect_error`, and disconnect them when theirs ends.
 * The token is the client's `auth.token`, or else as in a request. `socket.data.hubIdentity` is who
 * connected. Middleware is for one namespace: call this for each of yours. Throws an Error if the server
 * has `connectionStateRecovery`: it hands missed events to a client before anything is checked.
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
    const before = socket.data.hubIdentity;
    let identity;
    try {
      const { token } = socket.handshake.auth;
      identity =
        typeof token === "string" && !options.session
          ? await guard.check(token)
          : await gate.admit(socket.request, before);
    } catch (error) {
      return next(describe(error));
    }
    socket.data.hubIdentity = identity;
    if (identity && identity !== before) disconnectWithSession(guard, identity, socket);
    next();
  });
}

/** Disconnect a socket when the session ends.
 * @param {Guard} guard @param {Identity} identity @param {any} socket */
function disconnectWithSession(guard, identity, socket) {
  // A socket that closes before it has connected emits no `disconnect`.
  const watch = watchWhile(guard, identity, [
    [socket.conn, "close"],
    [socket, "disconnect"],
  ]);
  watch.onEnd(() => (socket.connected ? socket.disconnect(true) : socket.conn.close()));
}

/** The error that the client gets in `connect_error`: like the hub's, its message is the code.
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
