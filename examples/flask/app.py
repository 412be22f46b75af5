"""Flask's own session, in a cookie: over as soon as it was logged out anywhere."""

from __future__ import annotations

import os
import secrets

from flask import Flask, Response, redirect, render_template_string, request, session

from hub.errors import HubError, Unauthorized
from hub.guard import SyncGuard
from hub.guard.refusals import explain

HUB = os.environ.get("HUB_URL", "http://localhost:8080")
guard = SyncGuard.from_environ()  # HUB_URL, HUB_GUARD_TOKEN, HUB_JWT_SECRET, HUB_ADMIN_TOKEN
guard.start()

app = Flask(__name__)
app.secret_key = os.environ["APP_SECRET"]
app.config.update(SESSION_COOKIE_SAMESITE="Lax")

LOGIN = """<!doctype html><html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Log in</title>
<h1>Log in</h1>
<form method="post" action="/login">
  <label>Your name <input name="user" required></label> <button>Log in</button>
</form>"""

PAGE = """<!doctype html><html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Account</title>
<main data-private hidden>
  <h1>Account of {{ user }}</h1>
  <form method="post" action="/logout"><button>Log out here</button></form>
  <button type="button" data-logout="all">Log out everywhere</button>
</main>
<script type="module" src="{{ hub }}/client.js"
  data-token-url="/ticket" data-login-url="/login"></script>"""


@app.before_request
def refuse_ended() -> Response | None:
    """Empty the session if it was ended anywhere; what nobody can say is not allowed."""
    if "user" not in session:
        return None
    try:
        guard.check_session(session["user"], session["sid"], session["since"])
    except Unauthorized as error:
        session.clear()
        return redirect("/login") if request.method == "GET" else _answer(error)
    except HubError as error:
        return _answer(error)
    return None


@app.get("/login")
def show_login() -> str:
    """Show the login."""
    return LOGIN


@app.post("/login")
def log_in() -> Response:
    """Log in; a real app checks a password here."""
    session.clear()
    session.update(user=request.form["user"], sid=secrets.token_urlsafe(16), since=guard.now())
    return redirect("/")


@app.post("/logout")
def log_out() -> Response:
    """Log out here, and in every tab and service that knows this session."""
    if "user" in session:
        guard.end_session(session["user"], session["sid"])
    session.clear()
    return redirect("/login")


@app.get("/ticket")
def get_ticket() -> Response:
    """Give the page what it connects to the hub with."""
    if "user" not in session:
        return Response(status=401)
    ticket = guard.mint_ticket(session["user"], session["sid"], login_time=session["since"])
    return Response(ticket, headers={"Cache-Control": "no-store"})


@app.get("/")
def show_page() -> str | Response:
    """Show the account."""
    if "user" not in session:
        return redirect("/login")
    return render_template_string(PAGE, user=session["user"], hub=HUB)


@app.errorhandler(HubError)
def _answer(error: HubError) -> Response:
    status, headers, body = explain(error)
    return Response(body, status, headers)
