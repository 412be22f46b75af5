"""What clients are shown of a logout has the documented members, and no others."""

from __future__ import annotations

import json

import pytest

from hub.access.views import as_payload, view_logout, view_receipt
from hub.core.model import Logout, Outcome, Reason, Receipt, Scope, State

LOGOUT = Logout(
    id="id-1",
    user="|ada",
    scope=Scope.OTHERS,
    reason=Reason.PASSWORD_CHANGED,
    sid="s-1",
    message="Your password was changed",
    at=1_700_000_000_500_000,
)


def test_a_notification_has_the_documented_members() -> None:
    """They are exactly these, with the time as NumericDate seconds."""
    assert as_payload(view_logout(LOGOUT)) == {
        "id": "id-1",
        "scope": "others",
        "reason": "password_changed",
        "message": "Your password was changed",
        "sid": "s-1",
        "at": 1_700_000_000.5,
    }


def test_a_receipt_says_what_became_of_each_session() -> None:
    """The answer to a logout has exactly these members; ``failed`` only where there is any."""
    ended = (
        Outcome("a", "Phone", State.CUT),
        Outcome("b", "", State.OFFLINE),
        Outcome("c", "Tablet", State.ACKNOWLEDGED, failed=("cookies",)),
    )
    assert as_payload(view_receipt(Receipt(LOGOUT, ended))) == {
        "id": "id-1",
        "scope": "others",
        "reason": "password_changed",
        "at": 1_700_000_000.5,
        "message": "Your password was changed",
        "sessions": [
            {"sid": "a", "device": "Phone", "state": "cut"},
            {"sid": "b", "device": "", "state": "offline"},
            {"sid": "c", "device": "Tablet", "state": "acknowledged", "failed": ["cookies"]},
        ],
        "complete": False,
    }


@pytest.mark.parametrize("message", [None, "", "\u2028", "\U0001f469\u200d\U0001f680", "\x00"])
def test_a_payload_is_plain_json(message: str | None) -> None:
    """No message makes a notification that a packet's encoder cannot send."""
    logout = Logout("id", "|ada", Scope.ALL, Reason.USER, message=message, at=1)
    payload = as_payload(view_logout(logout))
    assert json.loads(json.dumps(payload)) == payload
