"""Which verified tokens a guard remembers, and until when."""

from __future__ import annotations

import pytest

from hub.core.model import SECOND, Identity, user_key
from hub.guard import known_tokens
from hub.guard.known_tokens import KnownTokens

ADA = Identity(user_key("", "ada"), "", "", "s1", iat=SECOND, exp=60 * SECOND)


def test_two_checks_of_a_token_at_once_know_the_same_of_it() -> None:
    """What one of them learns from the hub serves the other."""
    tokens = KnownTokens(1)
    first = tokens.add("t", ADA, 1)
    assert tokens.add("t", ADA, 1) is first
    assert tokens.find("t") is first


def test_a_token_is_forgotten_with_the_keys() -> None:
    """Once they have changed, it is verified anew."""
    tokens = KnownTokens(1)
    tokens.add("t", ADA, 1)
    tokens.renew(1)
    assert tokens.find("t") is not None
    tokens.renew(2)
    assert tokens.find("t") is None
    tokens.add("t", ADA, 2)
    assert tokens.find("t") is not None


def test_keys_that_are_replaced_meanwhile_verify_nothing_for_later() -> None:
    """A thread that began with the former keys ends with a token that is not kept."""
    tokens = KnownTokens(1)
    tokens.renew(2)
    tokens.renew(1)
    assert tokens.add("t", ADA, 1).identity is ADA
    assert tokens.find("t") is None


@pytest.mark.parametrize("bound", ["MAX_KNOWN", "MAX_KNOWN_BYTES"])
def test_only_so_many_are_remembered(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest make room."""
    monkeypatch.setattr(known_tokens, bound, 2)
    tokens = KnownTokens(1)
    for name in "abc":
        tokens.add(name, ADA, 1)
    assert [tokens.find(name) is not None for name in "abc"] == [False, True, True]
