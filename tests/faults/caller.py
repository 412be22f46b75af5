"""HTTP calls to the replicas, each made once, and written down with its answer."""

from __future__ import annotations

import json
import time
from typing import Any

import aiohttp

from tests.faults.cluster import Replica
from tests.faults.history import Attempt, Call, Check, History, Logout, Token
from tests.faults.orders import request_of
from tests.faults.tokens import sign, sign_signal


class Caller:
    """Calls replicas over HTTP, once each, and writes down every answer."""

    def __init__(self, history: History, http: aiohttp.ClientSession) -> None:
        self._history = history
        self._http = http

    async def _call(
        self,
        replica: Replica,
        method: str,
        path: str,
        bearer: str = "",
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        data: Any = None,
    ) -> tuple[Call, Any]:
        sent = {**(headers or {}), **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        began = time.monotonic()
        status, answer, retry, detail = None, None, False, ""
        try:
            async with self._http.request(
                method, replica.url + path, json=body, data=data, headers=sent
            ) as got:
                raw = await got.read()
                status, retry = got.status, "Retry-After" in got.headers
                answer = json.loads(raw) if raw else None
                if status >= 400 and isinstance(answer, dict):
                    code = answer.get("code") or answer.get("error") or answer.get("err")
                    why = answer.get("detail") or answer.get("error_description")
                    detail = f"{code}: {why or answer.get('description')}"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            status, detail = None, type(error).__name__
        what = f"{method} {path}"
        call = Call(what, replica.name, began, time.monotonic(), status, retry, detail)
        self._history.calls.append(call)
        return call, answer

    async def check(self, replica: Replica, kind: str, token: Token) -> str:
        """Show a token at ``/session`` or ``/verify``; return accepted, a code, or lost."""
        check = Check(kind, token, replica.name, time.monotonic())
        self._history.checks.append(check)
        call, answer = await self._call(replica, "GET", f"/{kind}", sign(token))
        check.end, check.detail = call.end, call.detail
        if call.status in (200, 204):
            check.result = "accepted"
        elif call.status is not None and isinstance(answer, dict):
            check.result = answer.get("code", "lost")
        return check.result

    async def ready(self, replica: Replica) -> None:
        """Ask whether a replica is ready."""
        await self._call(replica, "GET", "/readyz")

    async def log_out(self, replica: Replica, logout: Logout, token: Token | None) -> Attempt:
        """Ask for a logout once; the attempt stands in the history before it is made."""
        attempt = Attempt(replica.name, time.monotonic())
        logout.attempts.append(attempt)
        method, path, bearer, body = request_of(logout, token)
        key = {"Idempotency-Key": logout.key}
        call, answer = await self._call(replica, method, path, bearer, body, key)
        if call.status == 200:
            attempt.id, attempt.at = answer["id"], answer["at"]
        return _conclude(attempt, call)

    async def send(self, replica: Replica, signal: Logout) -> Attempt:
        """Send a logout token or an event once, as `log_out` asks for a logout."""
        attempt = Attempt(replica.name, time.monotonic())
        signal.attempts.append(attempt)
        token = sign_signal(signal, round(signal.start + self._history.epoch, 6))
        if signal.how.endswith("event"):
            headers = {"Content-Type": "application/secevent+jwt"}
            call, _ = await self._call(replica, "POST", "/events", headers=headers, data=token)
        else:
            form = {"logout_token": token}
            call, _ = await self._call(replica, "POST", "/backchannel-logout", data=form)
        return _conclude(attempt, call)


def _conclude(attempt: Attempt, call: Call) -> Attempt:
    """Write down what became of an attempt, by its call."""
    attempt.end, attempt.detail = call.end, f"{call.status} {call.detail}"
    if call.status in (200, 202):
        attempt.outcome = "ok"
    elif call.detail == "ClientConnectorError":
        attempt.outcome = "failed"
    elif call.status in (400, 401, 403, 404):
        attempt.outcome = "refused"
    return attempt
