"""The other tables of the issuers file: who sends security events, and which programs may ask."""

from __future__ import annotations

import hashlib

import pytest

from hub.core.event_types import Ends, Reaction
from hub.core.issuers import ASYMMETRIC, IssuersError
from hub.core.issuers_document import IssuersFile, read_document
from hub.core.model import SECOND, Reason
from hub.core.transmitters import Access, Delivery, Transmitter

SECRET = "a-secret-of-the-stream-0123456789"
ISSUER = '[[issuer]]\niss = "https://id.example"\naudience = "app"\n'
OTHER = '[[issuer]]\niss = "https://b.example"\naudience = "app"\nuser = "email"\n'


def read(text: str) -> IssuersFile:
    """Return what a file holds, with one issuer more."""
    return read_document(ISSUER + text, max_lifetime=86400, leeway=2)


def table(*lines: str, iss: str = "https://ssf.example/tenant/1", delivery: str = "push") -> str:
    """Return a transmitter, with these lines more than what it needs."""
    needed = (f'iss = "{iss}"', 'aud = "hub"', f'delivery = "{delivery}"')
    return "\n".join(("[[transmitter]]", *needed, *lines)) + "\n"


def transmitter(*lines: str, others: str = "", delivery: str = "push") -> Transmitter:
    """Return the only transmitter of a file."""
    (found,) = read(others + table(*lines, delivery=delivery)).transmitters
    return found


def refused(text: str) -> str:
    """Return the one line that stops the start with this file; it holds no secret."""
    with pytest.raises(IssuersError) as caught:
        read(text)
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    return line


def test_a_name_an_audience_and_a_way_are_enough() -> None:
    """The configuration is where the specification puts it, and the users are the only issuer's."""
    found = transmitter()
    assert found.iss == "https://ssf.example/tenant/1"
    where = "https://ssf.example/.well-known/ssf-configuration/tenant/1"
    assert found.configuration_url == where
    assert found.rules.audience == ("hub",)
    assert found.rules.algorithms == ASYMMETRIC
    assert found.rules.leeway == 2 * SECOND
    assert (found.delivery, found.issuer) == (Delivery.PUSH, "https://id.example")
    assert found.subjects == ("iss_sub", "opaque")
    assert (found.authorization, found.access, found.legacy) == (None, Access(), False)


def test_a_file_may_begin_with_a_byte_order_mark() -> None:
    """As editors on Windows write it."""
    (entry,) = read_document("\ufeff" + ISSUER, max_lifetime=86400, leeway=2).entries
    assert entry.name == "https://id.example"


def test_every_member_of_a_transmitter_is_read() -> None:
    """Also what it does about each event, by the event's name or its URI."""
    found = transmitter(
        'configuration_url = "https://ssf.example/.well-known/risc-configuration"',
        'jwks_url = "https://ssf.example/keys"',
        'algorithms = ["RS256"]',
        'subjects = ["email", "iss_sub"]',
        'title = "the device manager"',
        'client_id = "hub"',
        f'client_secret = "{SECRET}"',
        'token_url = "https://ssf.example/token"',
        'scope = "ssf.read"',
        "poll_interval = 30",
        "legacy = true",
        "[transmitter.events]",
        'session-revoked = "nothing"',
        '"https://schemas.openid.net/secevent/risc/event-type/account-enabled" = "user"',
        'credential-change = {ends = "session", profile = "lost"}',
        '"https://x.example/fired" = {ends = "user", reason = "policy"}',
        delivery="poll",
    )
    assert found.configuration_url.endswith("/risc-configuration")
    assert found.jwks_url == "https://ssf.example/keys"
    assert found.rules.algorithms == ("RS256",)
    assert found.subjects == ("email", "iss_sub")
    assert found.title == "the device manager"
    assert found.access.client_secret == SECRET
    assert (found.poll_interval, found.legacy) == (30, True)
    assert found.reactions == {
        "session-revoked": Reaction(Ends.NOTHING),
        "account-enabled": Reaction(Ends.USER),
        "credential-change": Reaction(Ends.SESSION, Reason.PASSWORD_CHANGED, "lost"),
        "https://x.example/fired": Reaction(Ends.USER, Reason.POLICY),
    }


def test_the_secrets_of_a_transmitter_do_not_show() -> None:
    """Neither those to it nor those from it."""
    pushed = transmitter(f'authorization = "Bearer {SECRET}"')
    polled = transmitter(f'token = "{SECRET}"', delivery="poll")
    asked = transmitter(
        'client_id = "hub"',
        f'client_secret = "{SECRET}"',
        'token_url = "https://ssf.example/token"',
    )
    for found in (pushed, polled, asked):
        assert SECRET not in f"{found!r} {found} {found.access!r} {found.access}"
    assert pushed.authorization == f"Bearer {SECRET}"
    assert polled.access.token == SECRET


def test_a_transmitter_belongs_to_one_issuer() -> None:
    """The named one, else the one with its own name, and its users are named as there."""
    assert transmitter('issuer = "https://b.example"', others=OTHER).issuer == "https://b.example"
    assert transmitter('issuer = "https://b.example"', others=OTHER).subjects == ("email",)
    (same,) = read(OTHER + table(iss="https://b.example")).transmitters
    assert same.issuer == "https://b.example"
    assert "issuer: is required" in refused(OTHER + table())


def test_a_client_is_kept_as_a_hash() -> None:
    """Whether the file holds its secret or only the SHA-256 of it."""
    digest = hashlib.sha256(SECRET.encode())
    first, second = read(
        f'[[client]]\nid = "api"\nsecret = "{SECRET}"\n'
        f'[[client]]\nid = "tool"\nsecret_sha256 = "{digest.hexdigest()}"\ntitle = "the tool"\n'
    ).clients
    assert (first.id, first.digest) == ("api", digest.digest())
    assert (second.id, second.digest, second.title) == ("tool", digest.digest(), "the tool")
    assert SECRET not in repr(first)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("transmitter = 5", ["transmitter"]),
        ("[[transmitter]]\n", ["transmitter 1", "iss"]),
        (table("isss = 1"), ["transmitter 1 (https://ssf.example/tenant/1)", "isss"]),
        (table(delivery="mail"), ["delivery"]),
        (table(iss="http://ssf.example"), ["iss", "https"]),
        (table(iss="not a URL"), ["iss", "https"]),
        (table('configuration_url = "ftp://x"'), ["configuration_url", "https"]),
        (table('jwks_url = "http://ssf.example/keys"'), ["jwks_url", "https"]),
        (table('algorithms = ["HS256"]'), ["algorithms", "HS256"]),
        (table('issuer = "https://c.example"'), ["issuer", "https://c.example"]),
        (table('subjects = "device"'), ["subjects", "device", "iss_sub"]),
        (table(f'title = "{"x" * 101}"'), ["title"]),
        (table('authorization = "short"'), ["authorization", "16"]),
        (table(f'authorization = "{SECRET}\\n"'), ["authorization"]),
        (table(f'authorization = "{SECRET}"', delivery="poll"), ["authorization"]),
        (table(delivery="poll"), ["token"]),
        (table(f'token = "{SECRET}"', 'client_id = "x"'), ["token, client_id"]),
        (table('client_id = "x"'), ["client_secret"]),
        (table('scope = "ssf.read"'), ["client_id"]),
        (table("poll_interval = 0"), ["poll_interval"]),
        (table("[transmitter.events]", 'logout = "user"'), ["events", "logout"]),
        (table("[transmitter.events]", 'session-revoked = "all"'), ["events: session-revoked"]),
        (
            table("[transmitter.events]", "session-revoked = {}"),
            ["events: session-revoked", "ends"],
        ),
        (table("[transmitter.events]", 'verification = "user"'), ["verification", "stream"]),
        (table() + table(), ["transmitter", "https://ssf.example/tenant/1", "hub"]),
        ("[[client]]", ["client 1", "id"]),
        ('[[client]]\nid = "a"', ["client 1 (a)", "secret"]),
        ('[[client]]\nid = "a"\nsecret = "short"', ["client 1 (a)", "secret", "16"]),
        ('[[client]]\nid = "a"\nsecret_sha256 = "x"', ["secret_sha256"]),
        (f'[[client]]\nid = "a"\nsecret = "{SECRET}"\n' * 2, ["client", "a is named twice"]),
        ("[[relying_party]]", ["relying_party is planned"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it(text: str, parts: list[str]) -> None:
    """The table, by its place and name, and the member that is wrong."""
    line = refused(text)
    assert all(part in line for part in parts), line
