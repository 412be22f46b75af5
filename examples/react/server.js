// A small app beside logout-hub: logins in this process, short tokens for the page's memory.
import { createHmac, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const APP = process.env.APP ?? "http://localhost:3000"; // where browsers find this app
const HUB = process.env.HUB ?? "http://localhost:8080"; // and where they find the hub
const SECRET = process.env.SECRET ?? ""; // the hub's HUB_JWT_SECRET
const FOLDER = process.env.FOLDER ?? new URL("public/", import.meta.url).pathname;
const LIFETIME = 300; // seconds; the hub's client asks for a new one in time

const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/app.js": ["app.js", "text/javascript; charset=utf-8"],
  "/style.css": ["style.css", "text/css; charset=utf-8"],
};
const POLICY =
  `default-src 'self'; connect-src 'self' ${HUB} ${HUB.replace(/^http/, "ws")}; ` +
  "base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/** Who is logged in, by the secret in the cookie; a real app has a database. */
const logins = new Map();

const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");

/** A token for the session of a login: the same `sid` each time, so that it is one device. */
function tokenOf({ name, sid }) {
  const iat = Date.now() / 1000;
  const claims = encode({ sub: name, sid, iat, exp: iat + LIFETIME });
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${claims}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** The login of a request, and a token of it, if the hub says that its session is alive. */
async function living(request) {
  const secret = /(?:^|; )login=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1];
  const login = logins.get(secret);
  if (!login) return undefined;
  const token = tokenOf(login);
  const headers = { Authorization: `Bearer ${token}` };
  const { status } = await fetch(`${HUB}/verify`, { headers, signal: AbortSignal.timeout(3000) });
  if (status === 204) return { login, token };
  if (status !== 401) throw new Error(`the hub answered ${status}`);
  logins.delete(secret);
  return undefined;
}

async function read(request) {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 1000) return {};
  }
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** A real app checks a password here. JSON of the app's own origin only: no other site's form. */
async function logIn(request) {
  if (request.headers.origin !== APP) return [403];
  const given = await read(request);
  const name = String(given?.name ?? "")
    .slice(0, 50)
    .trim();
  if (!name) return [400];
  const secret = randomBytes(24).toString("base64url");
  logins.set(secret, { name, sid: randomBytes(16).toString("base64url") });
  const secure = APP.startsWith("https:") ? "; Secure" : "";
  const cookie = `login=${secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age=28800${secure}`;
  return [200, JSON.stringify({ name }), { "Set-Cookie": cookie }];
}

async function answer(request) {
  const path = new URL(request.url, APP).pathname;
  const wanted = `${request.method} ${path}`;
  if (wanted === "POST /api/login") return logIn(request);
  if (wanted === "GET /api/me" || wanted === "GET /api/token") {
    const found = await living(request);
    if (!found) return [401];
    return [200, path === "/api/me" ? JSON.stringify({ name: found.login.name }) : found.token];
  }
  const [name, type] = (request.method === "GET" && FILES[path]) || [];
  if (!name) return [404];
  const text = await readFile(FOLDER + name, "utf8");
  return [200, text.replace("{{hub}}", HUB), { "Content-Type": type }];
}

createServer(async (request, response) => {
  const [status, body = "", headers] = await answer(request).catch(() => [503]);
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    ...headers,
  });
  response.end(body);
}).listen(Number(new URL(APP).port), "127.0.0.1", () => console.log(`the app is on ${APP}`));
