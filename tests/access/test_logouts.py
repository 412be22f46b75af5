"""The order in which a new logout is handled and answered."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from hub.access.logouts import Logouts
from hub.core.model import Identity, Logout, Reason, Receipt, Scope, user_key
from hub.metrics import Metrics
from hub.store.base import Store
from hub.store.values import Command

ADA = Identity(user=user_key("", "ada"), sub="ada", iss="", sid="s", iat=0, exp=1)
LOGOUT = Logout(id="x", user=ADA.user, scope=Scope.ALL, reason=Reason.USER, at=10)


class Swift:
    """A store whose event arrives together with its answer: it is read, then handled."""

    def __init__(self) -> None:
        self.order: list[str] = []

    async def end_own(self, command: Command, caller: Identity) -> Receipt:
        """Answer, and let the event arrive."""
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self.order.append, "notified")
        return Receipt(command.logout)


@pytest.mark.parametrize(
    ("at_once", "order"), [(False, ["notified", "answered"]), (True, ["answered"])]
)
async def test_devices_are_notified_before_the_logout_is_answered(
    at_once: bool, order: list[str]
) -> None:
    """If the event arrives with the answer; only a socket that asks is answered before its own."""
    store = Swift()
    logouts = Logouts(cast(Store, store), Metrics())
    await logouts.write_own(ADA, Command(LOGOUT), at_once=at_once)
    store.order.append("answered")
    assert store.order == order
