// The usual way in Node: Socket.IO with its Redis adapter. What it does at a logout: it notes the
// user's sessions as revoked in Redis, tells the user's room, and disconnects it.

import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import jwt from "jsonwebtoken";
import { createClient } from "redis";
import { Server } from "socket.io";

const { PORT, REDIS_URL, JWT_SECRET, ADMIN_TOKEN } = process.env;
const LIFETIME = 86400;
const EVENT = "logoutNotification";

const redis = createClient({ url: REDIS_URL });
const subscriber = redis.duplicate();
await Promise.all([redis.connect(), subscriber.connect()]);

/** @param {string | undefined} token */
const verify = (token) => jwt.verify(token ?? "", JWT_SECRET, { algorithms: ["HS256"] });

/** @param {import("node:http").IncomingMessage} request */
const bearer = (request) => request.headers.authorization?.replace(/^Bearer /, "");

const http = createServer(async (request, response) => {
  try {
    if (request.url === "/readyz") {
      response.writeHead(200).end();
    } else if (request.url === "/logout") {
      const notice = await logOut(verify(bearer(request)).sub);
      response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(notice));
    } else if (request.url === "/admin/logout" && bearer(request) === ADMIN_TOKEN) {
      const notice = await logOutEveryone();
      response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(notice));
    } else {
      response.writeHead(404).end();
    }
  } catch {
    response.writeHead(401).end();
  }
});

const io = new Server(http, { adapter: createAdapter(redis, subscriber) });

io.use((socket, next) => {
  try {
    socket.data.claims = verify(socket.handshake.auth.token);
    next();
  } catch {
    next(new Error("token_invalid"));
  }
});

io.on("connection", (socket) => {
  socket.join(`user:${socket.data.claims.sub}`);
});

/** @param {string} user */
async function logOut(user) {
  const room = io.in(`user:${user}`);
  const notice = { reason: "user", at: Date.now() / 1000 };
  const sockets = await room.fetchSockets();
  await Promise.all(
    sockets.map(({ data }) => redis.set(`revoked:${data.claims.sid}`, "1", { EX: LIFETIME })),
  );
  room.emit(EVENT, notice);
  room.disconnectSockets(true);
  return notice;
}

async function logOutEveryone() {
  const notice = { reason: "admin", at: Date.now() / 1000 };
  await redis.set("revoked:before", String(notice.at), { EX: LIFETIME });
  io.emit(EVENT, notice);
  io.disconnectSockets(true);
  return notice;
}

http.listen(Number(PORT), "127.0.0.1");
