// Express with express-session: a session is over as soon as it was logged out anywhere.
import { randomUUID } from "node:crypto";
import express from "express";
import session from "express-session";
import { Guard } from "logout-hub-guard";
import { guardMiddleware } from "logout-hub-guard/express";

const HUB = process.env.HUB_URL ?? "http://localhost:8080"; // where browsers find the hub, too
const PORT = Number(process.env.PORT ?? 3000);

// HUB_URL, HUB_GUARD_TOKEN, HUB_JWT_SECRET, HUB_ADMIN_TOKEN
const guard = Guard.fromEnviron();
await guard.start();

const LOGIN = `<!doctype html><html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Log in</title>
<h1>Log in</h1>
<form method="post" action="/login">
  <label>Your name <input name="user" required></label> <button>Log in</button>
</form>`;

const accountOf = (user) => `<!doctype html><html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Account</title>
<main data-private hidden>
  <h1>Account of ${escapeHtml(user)}</h1>
  <form method="post" action="/logout"><button>Log out here</button></form>
  <button type="button" data-logout="all">Log out everywhere</button>
</main>
<script type="module" src="${HUB}/client.js"
  data-token-url="/ticket" data-login-url="/login"></script>`;

const escapeHtml = (text) => text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);

const app = express();
app.use(
  session({
    secret: process.env.APP_SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { sameSite: "lax", secure: "auto" },
  }),
);
app.use(express.urlencoded({ extended: false }));
app.use(
  guardMiddleware(guard, { session: (request) => request.session.login, loginUrl: "/login" }),
);

app.get("/login", (_, response) => response.send(LOGIN));

app.post("/login", (request, response, next) => {
  const user = String(request.body?.user ?? "").trim();
  if (!user) return response.status(400).send(LOGIN);
  // A real app checks a password here. The session is a new one, so that nobody can have planted it.
  request.session.regenerate((error) => {
    if (error) return next(error);
    request.session.login = { user, sid: randomUUID(), loggedInAt: guard.now() };
    response.redirect(303, "/");
  });
});

app.post("/logout", async (request, response, next) => {
  const { user, sid } = request.hubIdentity;
  await guard.endSession(user, sid); // here, and in every tab and service that knows the session
  request.session.destroy((error) => (error ? next(error) : response.redirect(303, "/login")));
});

// What the page connects to the hub with.
app.get("/ticket", async (request, response) => {
  const { user, sid, loggedInAt } = request.session.login;
  const ticket = await guard.mintTicket(user, sid, { loginTime: loggedInAt });
  response.set("Cache-Control", "no-store").type("text/plain").send(ticket);
});

app.get("/", (request, response) => {
  response.set("Cache-Control", "no-store").send(accountOf(request.hubIdentity.user));
});

const server = app.listen(PORT, () => console.log(`http://localhost:${server.address().port}`));
