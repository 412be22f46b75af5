// A stock Socket.IO client in a process of its own. Writes what happens as lines of JSON, and
// takes commands as lines of JSON: {"emit": [event, payload]}, {"connect": true}.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const { url, token, options } = JSON.parse(process.argv[2]);
const socket = io(url, { auth: { token, device: "Stock client" }, ...options });

/** @param {string} what @param {unknown} [value] */
const tell = (what, value) => process.stdout.write(`${JSON.stringify({ what, value })}\n`);

socket.on("connect", () => tell("connect", socket.io.engine.transport.name));
socket.io.engine?.on("upgrade", (/** @type {any} */ transport) => tell("upgrade", transport.name));
socket.on("connect_error", (/** @type {any} */ error) =>
  tell("refused", { message: error.message, data: error.data, active: socket.active }),
);
socket.on("disconnect", (reason) => tell("disconnect", reason));
socket.on("logoutNotification", (notification, acknowledge) => {
  tell("notified", notification);
  acknowledge({ cleared: true });
});

createInterface({ input: process.stdin }).on("line", async (line) => {
  const command = JSON.parse(line);
  if (command.connect) socket.connect();
  if (command.emit) tell("answer", await socket.emitWithAck(...command.emit));
});
