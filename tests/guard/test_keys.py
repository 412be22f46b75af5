"""The keys that a guard fetches: the same rules as the hub's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from hub.core.issuers import ASYMMETRIC, Entry, KeySource, Source, make_entry
from hub.core.key_schedule import COOL_DOWN, FAILED_COOL_DOWN, KEY_SET_LIFETIME
from hub.core.key_set import MAX_BODY_BYTES
from hub.core.model import Identity
from hub.errors import TokenInvalid, Unavailable
from hub.guard import Guard
from hub.guard import flights as flights_module
from hub.guard import keys as keys_module
from hub.guard import verifier as verifier_module
from hub.guard.clock import clock
from hub.guard.flights import Flights
from hub.guard.steps import run
from hub.guard.verifier import Verifier
from tests.guard.feed_server import TOKEN, FeedServer
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.site import SECRET, token

KEYS = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in ("one", "two")}
IAT = 1_700_000_000


def key_set(*kids: str, padding: int = 0) -> bytes:
    """Return a key set with these keys."""
    members = [
        {**json.loads(ECAlgorithm.to_jwk(KEYS[kid].public_key())), "kid": kid, "use": "sig"}
        for kid in kids
    ]
    return json.dumps({"keys": members}).encode() + b" " * padding


class Issuer:
    """A server that publishes keys; ``pages`` are what it answers with, by path."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.delay = 0.0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                issuer.answers.wait(PATIENCE)
                time.sleep(issuer.delay)
                status, body = issuer.pages.get(self.path, (404, b""))
                self.send_response(status)
                self.send_header("Location", "/keys")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextlib.contextmanager
def serving() -> Iterator[Issuer]:
    """Run a server for the duration of the context."""
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        issuer.server.shutdown()
        thread.join()
        issuer.server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Issuer]:
    """One server for all tests of this module."""
    with serving() as issuer:
        yield issuer


@pytest.fixture
def issuer(server: Issuer) -> Issuer:
    """The server as it is at first: it publishes the key ``one``."""
    server.asked.clear()
    server.answers.set()
    server.delay = 0.0
    server.pages = {"/keys": (200, key_set("one"))}
    return server


@pytest.fixture
def flights() -> Iterator[Flights]:
    """Threads to fetch in."""
    made = Flights()
    yield made
    made.close()


class Hands:
    """The guard's clock, set forward by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = 0.0
        for module in (keys_module, verifier_module):
            monkeypatch.setattr(module, "clock", lambda: clock() + self.offset)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """The clock."""
    return Hands(monkeypatch)


def entry(
    issuer: Issuer, kind: Source = Source.JWKS_URL, *, iss: str = "", path: str = "/keys"
) -> Entry:
    """Return an entry whose keys are fetched."""
    address = issuer.url if kind is Source.DISCOVERY else issuer.url + path
    return make_entry(
        issuer=iss or issuer.url,
        keys=KeySource(kind, (address,)),
        algorithms=ASYMMETRIC,
        audience=("app",),
        max_lifetime=3600,
        leeway=0,
    )


def verify(verifier: Verifier, flights: Flights, kid: str, **claims: Any) -> Identity:
    """Verify a token that the key ``kid`` has signed."""
    given = sign(kid, **{"iss": verifier.entries[0].rules.issuer, **claims})
    return run(verifier.verifying(given, flights))


def sign(kid: str, **claims: Any) -> str:
    """Return a token that the key ``kid`` has signed."""
    members = {"sub": "ada", "sid": "s1", "iat": IAT, "exp": IAT + 60, "aud": "app", **claims}
    return jwt.encode(members, KEYS[kid], algorithm="ES256", headers={"kid": kid})


def test_keys_are_fetched_once(issuer: Issuer, flights: Flights) -> None:
    """When the first token comes, however many threads have one."""
    verifier = Verifier([entry(issuer)])
    threads = [threading.Thread(target=verify, args=(verifier, flights, "one")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(verifier, flights, "one").sub == "ada"
    assert issuer.asked == ["/keys"]


def test_keys_are_discovered(issuer: Issuer, flights: Flights) -> None:
    """From either kind of metadata, which has to be the issuer's."""
    document = {"issuer": issuer.url, "jwks_uri": issuer.url + "/keys"}
    issuer.pages["/.well-known/oauth-authorization-server"] = (200, json.dumps(document).encode())
    verifier = Verifier([entry(issuer, Source.DISCOVERY)])
    assert verify(verifier, flights, "one").sub == "ada"
    document["issuer"] = "https://other.example"
    issuer.pages["/.well-known/openid-configuration"] = (200, json.dumps(document).encode())
    with pytest.raises(Unavailable):
        verify(Verifier([entry(issuer, Source.DISCOVERY)]), flights, "one")


def test_a_key_that_is_newer_than_the_last_fetch_is_found_at_once(
    issuer: Issuer, flights: Flights
) -> None:
    """For all that come with it meanwhile; and it makes earlier verifications void."""
    verifier = Verifier([entry(issuer)])
    verify(verifier, flights, "one")
    generation = verifier.generation
    issuer.pages["/keys"] = (200, key_set("two"))
    issuer.answers.clear()
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(verify, verifier, flights, "two") for _ in range(8)]
        issuer.answers.set()
        assert {one.result().sub for one in found} == {"ada"}
    assert verifier.generation != generation
    with pytest.raises(TokenInvalid):
        verify(verifier, flights, "one")
    assert len(issuer.asked) == 2


def test_made_up_names_of_keys_cool_down(issuer: Issuer, flights: Flights, hands: Hands) -> None:
    """They cost the issuer one request in that time, and it is not asked for a new key then."""
    verifier = Verifier([entry(issuer)])
    for asked in (1, 2):
        for _ in range(3):
            with pytest.raises(TokenInvalid):
                verify(verifier, flights, "two")
        assert len(issuer.asked) == asked
        hands.offset += COOL_DOWN + 1
    issuer.pages["/keys"] = (200, key_set("two"))
    assert verify(verifier, flights, "two").sub == "ada"
    assert len(issuer.asked) == 3


def test_an_issuer_that_publishes_its_keys_in_turn_is_not_asked_each_time(
    issuer: Issuer, flights: Flights
) -> None:
    """Its servers may disagree for a while."""
    verifier = Verifier([entry(issuer)])
    verify(verifier, flights, "one")
    issuer.pages["/keys"] = (200, key_set("two"))
    verify(verifier, flights, "two")
    issuer.pages["/keys"] = (200, key_set("one"))
    with pytest.raises(TokenInvalid):
        verify(verifier, flights, "one")
    assert len(issuer.asked) == 2


async def test_a_key_that_is_withdrawn_verifies_nothing_whoever_had_keys_fetched(
    issuer: Issuer,
) -> None:
    """Such as somebody who made a key up, and is refused."""
    with FeedServer() as hub:
        async with Guard(hub.url, token=TOKEN, issuers=[entry(issuer)]) as guard:
            now = guard.now()
            claims = {"iss": issuer.url, "iat": now, "exp": now + 600}
            given = sign("one", **claims)
            for _ in range(2):
                await guard.check(given)
            issuer.pages["/keys"] = (200, key_set("two"))
            made_up = jwt.encode(
                {"sub": "eve", "aud": "app", **claims},
                KEYS["one"],
                algorithm="ES256",
                headers={"kid": "made up"},
            )
            for refused in (made_up, given):
                with pytest.raises(TokenInvalid):
                    await guard.check(refused)


def renew(verifier: Verifier, flights: Flights) -> None:
    """Fetch the keys that are aging, and wait until that is done."""
    verifier.renew(flights)
    for flight, _ in list(flights._flights.values()):
        flight.result(PATIENCE)


def test_keys_are_fetched_again_before_they_are_an_hour_old(
    issuer: Issuer, flights: Flights, hands: Hands
) -> None:
    """Those that were used, also if no unknown token comes."""
    verifier = Verifier([entry(issuer)])
    renew(verifier, flights)
    assert issuer.asked == []
    verify(verifier, flights, "one")
    renew(verifier, flights)
    assert issuer.asked == ["/keys"]
    issuer.pages["/keys"] = (200, key_set("two"))
    hands.offset = KEY_SET_LIFETIME - 1
    renew(verifier, flights)
    renew(verifier, flights)
    assert issuer.asked == ["/keys"] * 2
    with pytest.raises(TokenInvalid):
        verify(verifier, flights, "one")


def test_a_check_does_not_wait_for_an_issuer_that_does_not_answer(
    issuer: Issuer, flights: Flights, hands: Hands
) -> None:
    """Its last keys stay in use meanwhile, and it is asked once, however often that is tried."""
    done = threading.Event()
    verifier = Verifier([entry(issuer)], on_fetched=done.set)
    verify(verifier, flights, "one")
    hands.offset = 2 * KEY_SET_LIFETIME
    issuer.answers.clear()
    done.clear()
    for _ in range(3):
        verifier.renew(flights)
    assert verify(verifier, flights, "one").sub == "ada"
    assert not done.is_set()
    issuer.answers.set()
    assert done.wait(PATIENCE)
    assert issuer.asked == ["/keys"] * 2


def test_a_key_that_could_not_be_fetched_may_be_a_new_one(
    issuer: Issuer, flights: Flights, hands: Hands
) -> None:
    """It is not refused for good, and the issuer is asked again as soon as it may be back."""
    verifier = Verifier([entry(issuer)])
    verify(verifier, flights, "one")
    issuer.pages["/keys"] = (503, b"")
    for asked in (2, 3):
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                verify(verifier, flights, "two")
            assert 0 < (caught.value.retry_after or 0) <= FAILED_COOL_DOWN
        assert len(issuer.asked) == asked
        hands.offset += FAILED_COOL_DOWN + 1
    assert verify(verifier, flights, "one").sub == "ada"
    issuer.pages["/keys"] = (200, key_set("two"))
    assert verify(verifier, flights, "two").sub == "ada"
    with pytest.raises(TokenInvalid):
        verify(verifier, flights, "one")


def test_a_failed_fetch_is_soon_followed_by_another(
    issuer: Issuer, flights: Flights, hands: Hands
) -> None:
    """It does not postpone the next by an hour."""
    verifier = Verifier([entry(issuer)])
    verify(verifier, flights, "one")
    issuer.pages["/keys"] = (503, b"")
    hands.offset += KEY_SET_LIFETIME
    renew(verifier, flights)
    renew(verifier, flights)
    assert issuer.asked == ["/keys"] * 2
    hands.offset += COOL_DOWN + 1
    renew(verifier, flights)
    assert issuer.asked == ["/keys"] * 3


def test_a_fetch_has_one_time_limit_for_all_its_requests(
    issuer: Issuer, flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a key waits that long, though each request alone is answered in time."""
    monkeypatch.setattr(keys_module, "FETCH_TIMEOUT", 0.5)
    document = {"issuer": issuer.url, "jwks_uri": issuer.url + "/keys"}
    issuer.pages["/.well-known/openid-configuration"] = (200, json.dumps(document).encode())
    issuer.delay = 0.3
    with pytest.raises(Unavailable):
        verify(Verifier([entry(issuer, Source.DISCOVERY)]), flights, "one")


def test_who_cannot_wait_for_a_key_is_not_refused_for_good(
    issuer: Issuer, flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though other keys are known: the issuer may be about to publish this one."""
    verifier = Verifier([entry(issuer)])
    verify(verifier, flights, "one")
    monkeypatch.setattr(verifier_module, "WAIT_TIMEOUT", 0.01)
    issuer.answers.clear()
    with pytest.raises(Unavailable):
        verify(verifier, flights, "two")
    issuer.answers.set()


def test_who_needs_keys_of_an_issuer_that_does_not_answer_waits_within_bounds(
    issuer: Issuer, flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the keys are there for the next check, once they have come."""
    monkeypatch.setattr(verifier_module, "WAIT_TIMEOUT", 0.01)
    verifier = Verifier([entry(issuer)])
    issuer.answers.clear()
    with pytest.raises(Unavailable):
        verify(verifier, flights, "one")
    issuer.answers.set()
    monkeypatch.setattr(verifier_module, "WAIT_TIMEOUT", PATIENCE)
    assert verify(verifier, flights, "one").sub == "ada"


async def test_issuers_that_do_not_answer_keep_nobody_elses_keys_waiting(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are: each has a thread of its own, and no more than one."""
    monkeypatch.setattr(keys_module, "FETCH_TIMEOUT", 2 * PATIENCE)
    names = [f"https://{number}.example" for number in range(3 * flights_module.MAX_THREADS)]
    entries = [entry(issuer, iss=name, path=f"/{number}") for number, name in enumerate(names)]
    with serving() as healthy, FeedServer() as hub:
        healthy.pages = {"/keys": (200, key_set("one"))}
        healthy.answers.set()
        entries.append(entry(healthy))
        async with Guard(hub.url, token=TOKEN, issuers=entries) as guard:
            issuer.answers.clear()
            times = {"iat": guard.now(), "exp": guard.now() + 600}
            stuck = [
                asyncio.create_task(guard.check(sign("one", iss=name, **times)))
                for name in names * 2
            ]
            try:
                await eventually(lambda: len(issuer.asked) == len(names))
                assert (await guard.check(sign("one", iss=healthy.url, **times))).sub == "ada"
                assert len(issuer.asked) == len(names)
            finally:
                issuer.answers.set()
            for result in await asyncio.gather(*stuck, return_exceptions=True):
                assert isinstance(result, Unavailable)


def test_entries_with_one_address_share_its_fetches_and_its_cool_down(
    issuer: Issuer, flights: Flights, hands: Hands
) -> None:
    """As several audiences or issuers of one provider may."""
    names = ["https://a.example", "https://b.example"]
    verifier = Verifier([entry(issuer, iss=name) for name in names])
    for name in names:
        assert verify(verifier, flights, "one", iss=name).sub == "ada"
    assert len(issuer.asked) == 1
    for name in names * 2:
        with pytest.raises(TokenInvalid):
            verify(verifier, flights, "two", iss=name)
    assert len(issuer.asked) == 2
    hands.offset = KEY_SET_LIFETIME
    renew(verifier, flights)
    assert len(issuer.asked) == 3


async def test_a_guard_renews_keys_beside_its_checks(issuer: Issuer, hands: Hands) -> None:
    """While one issuer is silent, tokens of all are checked; what it withdraws is refused then."""
    with FeedServer() as hub:
        other = make_entry(
            issuer=None,
            keys=KeySource(Source.SECRET, (SECRET,)),
            algorithms=("HS256",),
            audience=(),
            max_lifetime=3600,
            leeway=0,
        )
        async with Guard(hub.url, token=TOKEN, issuers=[entry(issuer), other]) as guard:
            now = guard.now()
            given = sign("one", iss=issuer.url, iat=now, exp=now + 600)
            await guard.check(given)
            issuer.pages["/keys"] = (200, key_set("two"))
            issuer.answers.clear()
            hands.offset = KEY_SET_LIFETIME
            hub.confirm()
            await eventually(lambda: len(issuer.asked) == 2)
            for checked in (given, token("grace")):
                await guard.check(checked)
            issuer.answers.set()

            await eventually(lambda: guard._core.recall(given) is None)
            with pytest.raises(TokenInvalid):
                await guard.check(given)


BROKEN = {
    "no answer": (500, b""),
    "a redirect": (302, b""),
    "no keys": (200, b'{"keys": []}'),
    "no JSON": (200, b"{"),
    "too much": (200, key_set("two", padding=MAX_BODY_BYTES)),
}


@pytest.mark.parametrize("answer", BROKEN)
def test_the_last_keys_stay_in_use(
    issuer: Issuer, flights: Flights, hands: Hands, answer: str
) -> None:
    """While fetching fails; without any, nothing is accepted."""
    verifier = Verifier([entry(issuer)])
    verify(verifier, flights, "one")
    issuer.pages["/keys"] = BROKEN[answer]
    hands.offset = KEY_SET_LIFETIME + 1
    renew(verifier, flights)
    assert verify(verifier, flights, "one").sub == "ada"
    assert len(issuer.asked) == 2
    with pytest.raises(Unavailable):
        verify(Verifier([entry(issuer)]), flights, "one")


def test_only_the_issuers_own_tokens_are_taken(issuer: Issuer, flights: Flights) -> None:
    """By the rules of its entry."""
    verifier = Verifier([entry(issuer)])
    for claims in ({"iss": "https://other.example"}, {"aud": "other"}, {"exp": IAT + 9999}):
        with pytest.raises(TokenInvalid):
            verify(verifier, flights, "one", **claims)
