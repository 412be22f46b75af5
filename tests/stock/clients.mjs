// Stock socket.io-clients of several versions in one process. The first line of the input says
// which, {"url", "clients": [{"name", "module", "token", "transports"}]}; each line after it is the
// name of one that is to log out. Writes what happens as lines {"client", "what", "value"}.
import { createInterface } from "node:readline";

const sockets = new Map();
/** @param {string} client @param {string} what @param {unknown} [value] */
const tell = (client, what, value) =>
  process.stdout.write(`${JSON.stringify({ client, what, value })}\n`);

/** @param {string} url @param {{name: string, module: string, token: string, transports?: string[],
 *   parser?: string}} client */
async function start(url, { name, module, token, transports, parser }) {
  const { default: made, io = made.io ?? made } = await import(module);
  const socket = io(url, {
    auth: { token },
    query: { client: name },
    forceNew: true,
    ...(transports && { transports }),
    ...(parser && { parser: (await import(parser)).default }),
  });
  sockets.set(name, socket);
  socket.on("connect", () => tell(name, "connected"));
  socket.on("disconnect", (/** @type {string} */ reason) =>
    tell(name, "disconnected", { reason, active: socket.active }),
  );
  // As the README has it: without data it is the network, and the client tries again by itself.
  socket.on("connect_error", (/** @type {any} */ error) => {
    if (error.data) tell(name, "refused", { code: error.message, detail: error.data.detail });
  });
  socket.on("logoutNotification", (/** @type {any} */ notification, /** @type {any} */ done) => {
    tell(name, "told", notification.reason);
    done({ cleared: true });
  });
}

let started = false;
for await (const line of createInterface({ input: process.stdin })) {
  if (started) {
    sockets
      .get(line)
      .emit("logout", { scope: "session" }, (/** @type {any} */ answer) =>
        tell(line, "answered", answer.ok),
      );
  } else {
    started = true;
    const { url, clients } = JSON.parse(line);
    for (const client of clients) await start(url, client);
  }
}
process.exit();
