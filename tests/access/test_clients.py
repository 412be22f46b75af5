"""Clients of the OAuth endpoints authenticate by their secrets, in the header or in the form."""

from __future__ import annotations

import base64

import pytest
from pydantic import SecretStr, ValidationError

from hub.access.clients import Clients
from hub.core.clients import read_client_text
from hub.environment import load_settings
from hub.errors import InvalidClient, InvalidRequest
from hub.settings import SettingsError
from tests.oauth import BANK, BANK_SECRET, CLIENTS, SHOP, SHOP_SECRET, basic, entry
from tests.site import settings, signing_key

KNOWN = Clients(map(read_client_text, CLIENTS))


def header(text: str | bytes) -> str:
    """Return a header of Basic authentication with this text."""
    raw = text if isinstance(text, bytes) else text.encode()
    return "Basic " + base64.b64encode(raw).decode()


@pytest.mark.parametrize("encoded", [True, False], ids=["as the RFC", "as curl"])
@pytest.mark.parametrize(("client", "secret"), [(SHOP, SHOP_SECRET), (BANK, BANK_SECRET)])
def test_a_client_is_known_by_the_header(client: str, secret: str, encoded: bool) -> None:
    """Encoded as in a form, and also as it stands, where that is not ambiguous for the id."""
    if client == SHOP and not encoded:
        client = "shop"  # a colon ends the id in a header that is not encoded
    known = Clients([read_client_text(entry(client, secret))])
    given = basic(client, secret, encoded=encoded)["Authorization"]
    assert known.authenticate(given, {}) == client
    assert known.authenticate(given.replace("Basic", "bAsIc"), {"client_id": client}) == client


def test_a_client_is_known_by_the_form() -> None:
    """With its id and its secret as parameters."""
    form = {"client_id": SHOP, "client_secret": SHOP_SECRET}
    assert KNOWN.authenticate(None, form) == SHOP


@pytest.mark.parametrize("form", [{}, {"client_id": BANK}, {"client_id": "a public client"}])
def test_who_sends_no_secret_is_nobody(form: dict[str, str]) -> None:
    """An id alone proves nothing, and is what public clients send."""
    assert KNOWN.authenticate(None, form) is None


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YmFuaw",
        "Bearer " + BANK_SECRET,
        "Digest username=bank",
        header(BANK),
        header(b"bank:\xff"),
        header(f"{BANK}:"),
        header(f":{BANK_SECRET}"),
        header(f"{BANK}:{BANK_SECRET} "),
        header(f"{BANK}:{SHOP_SECRET}"),
        header(f"BANK:{BANK_SECRET}"),
        header(f"{BANK}:{entry(BANK, BANK_SECRET).split(':')[1]}"),
        header("bank:%ff"),
        header(f"nobody:{BANK_SECRET}"),
    ],
)
def test_another_header_is_no_client(given: str) -> None:
    """Other schemes, what cannot be read, other secrets, and the hash that the settings hold."""
    with pytest.raises(InvalidClient):
        KNOWN.authenticate(given, {})


@pytest.mark.parametrize(
    "form",
    [
        {"client_secret": BANK_SECRET},
        {"client_id": BANK, "client_secret": SHOP_SECRET},
        {"client_id": "nobody", "client_secret": BANK_SECRET},
        {"client_id": BANK, "client_secret": "\udcff"},
    ],
)
def test_another_form_is_no_client(form: dict[str, str]) -> None:
    """A secret without its id, or with another one."""
    with pytest.raises(InvalidClient):
        KNOWN.authenticate(None, form)


def test_a_client_authenticates_in_one_way() -> None:
    """Two ways in one request are refused, even if both are right (RFC 6749 section 2.3)."""
    given = basic(BANK, BANK_SECRET)["Authorization"]
    for form in ({"client_id": BANK, "client_secret": BANK_SECRET}, {"client_id": SHOP}):
        with pytest.raises(InvalidRequest):
            KNOWN.authenticate(given, form)


def test_every_client_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that matches does not end the search, whose length would tell which it was."""
    compared: list[bytes] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append(left)
        return left == right

    monkeypatch.setattr("hub.access.clients.hmac.compare_digest", compare)
    for client, secret in ((SHOP, SHOP_SECRET), (BANK, BANK_SECRET), ("nobody", "none")):
        compared.clear()
        try:
            KNOWN.authenticate(None, {"client_id": client, "client_secret": secret})
        except InvalidClient:
            assert client == "nobody"
        assert len(compared) == 2 * len(CLIENTS)


@pytest.mark.parametrize(
    "text", ["", "bank", "bank:secret", f"bank:{'g' * 64}", f":{'a' * 64}", f"b\xe4nk:{'a' * 64}"]
)
def test_a_client_that_is_not_of_the_form_stops_the_start(text: str) -> None:
    """The message does not repeat it, since it may hold the secret itself."""
    with pytest.raises(SettingsError, match=r"^HUB_CLIENTS: ") as refused:
        load_settings({"clients": (text,)})
    assert "secret'" not in str(refused.value)


def test_an_id_stands_once() -> None:
    """Two secrets of one client would be two clients of one name."""
    with pytest.raises(SettingsError, match=r"^HUB_CLIENTS: the client bank is named twice$"):
        load_settings({"clients": (CLIENTS[1], entry(BANK, "x"))})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"introspection_key": SecretStr("-----BEGIN x"), "public_url": "https://h.test"}, "PEM"),
        ({"introspection_key": SecretStr("/nowhere"), "public_url": "https://h.test"}, "PEM"),
        ({"public_url": "hub.test"}, "not an address"),
        ({"public_url": "https://hub.test/?x"}, "not an address"),
    ],
)
def test_a_key_or_address_that_is_none_stops_the_start(
    changes: dict[str, object], named: str
) -> None:
    """In one line that names the setting and not the key."""
    with pytest.raises(ValidationError, match=named):
        settings(**changes)


def test_a_key_needs_a_name_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature in nobody's name proves nothing."""
    monkeypatch.setenv("HUB_INTROSPECTION_KEY", signing_key())
    with pytest.raises(SettingsError, match="HUB_INTROSPECTION_KEY: needs HUB_PUBLIC_URL"):
        load_settings()
