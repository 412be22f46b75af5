"""The configured issuers with their keys, and which of them a token belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

import msgspec
import structlog

from hub.access.keys import (
    JwksKeys,
    Keys,
    StaticKeys,
    renew_all,
    renew_old,
    sparing_new_keys,
)
from hub.core.global_revocation import Assertion, read_assertion, read_assertion_header
from hub.core.issuers import Entry, KeySource, Source, resolve_issuer, select_entry
from hub.core.logout_tokens import read_logout_header, read_logout_token
from hub.core.model import Identity, Micros
from hub.core.refusal import Refusal, SignalRefused, refusing
from hub.core.signal import Signal
from hub.core.tokens import (
    Header,
    Rules,
    check_signature_by_any,
    identify,
    read_claims,
    read_header,
)
from hub.core.verification_keys import load_public_key, prepare_secret
from hub.errors import TokenInvalid, Unavailable
from hub.metrics import Metrics

log = structlog.get_logger(__name__)

Clock: TypeAlias = Callable[[], Awaitable[Micros]]
"""Returns the time that a signal is judged by; asked once its signature is verified."""


def make_keys(source: KeySource) -> StaticKeys | JwksKeys:
    """Return the keys of a source; those that are fetched have to be closed in the end."""
    match source.kind:
        case Source.SECRET:
            return StaticKeys(*(prepare_secret(text) for text in source.values))
        case Source.PUBLIC_KEY:
            return StaticKeys(load_public_key(source.values[0]))
        case Source.DISCOVERY:
            return JwksKeys(source.values[0], discovers=True)
        case Source.JWKS_URL:
            return JwksKeys(source.values[0])


class Proof(msgspec.Struct, frozen=True, weakref=True, eq=False):
    """By what a token was verified: a key, for tokens of this header and ``iss``, and the rules."""

    header: Header
    iss: object
    rules: Rules
    key: Any


class Issuers:
    """The issuer entries of the settings, which may be replaced while the hub runs.

    Call `aclose` in the end.
    """

    def __init__(self, entries: Sequence[Entry], metrics: Metrics | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._entries = tuple(entries)
        self._keys: dict[KeySource, Keys] = {e.keys: make_keys(e.keys) for e in self._entries}
        self._replaced = 0
        self._proofs: WeakValueDictionary[tuple[Any, ...], Proof] = WeakValueDictionary()
        self._warned: set[str] = set()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries, in the order of the settings."""
        return self._entries

    @property
    def generation(self) -> tuple[int, ...]:
        """Changes when entries or keys change: earlier verifications are void then."""
        return (self._replaced, *(keys.generation for keys in self._keys.values()))

    async def aclose(self) -> None:
        """Close the connections that keys are fetched over."""
        await self._close(self._keys)

    def replace(self, entries: Sequence[Entry]) -> Coroutine[Any, Any, None]:
        """Replace the entries, at once; fetched keys are kept for sources that remain.

        Await what is returned, which closes the others.
        """
        old, self._keys = self._keys, {}
        for entry in entries:
            if entry.keys not in self._keys:
                kept = entry.keys in old
                self._keys[entry.keys] = old.pop(entry.keys) if kept else make_keys(entry.keys)
        self._entries = tuple(entries)
        self._replaced += 1
        return self._close(old)

    async def renew(self) -> None:
        """Fetch the keys again that were fetched; where that fails, the last ones stay in use."""
        await renew_all(self._keys.values())

    def renew_old(self) -> None:
        """Begin to fetch keys again that are due, without waiting."""
        renew_old(self._keys.values())

    async def _close(self, sources: dict[KeySource, Keys]) -> None:
        for keys in sources.values():
            if isinstance(keys, JwksKeys):
                await keys.aclose()

    def resolve(self, iss: str | None) -> tuple[str, str | None]:
        """Return the ``iss`` that an administrator means, and a warning; see `resolve_issuer`."""
        return resolve_issuer(self._entries, iss)

    def others(self, iss: str) -> list[str]:
        """Return the issuers of all other entries; empty for one that names none."""
        names = dict.fromkeys(entry.rules.issuer or "" for entry in self._entries)
        return [name for name in names if name != iss]

    def titles(self, by: str | None) -> set[str]:
        """Return the names, for people, of the issuer ``by``, or of all."""
        entries = (entry for entry in self._entries if by is None or entry.rules.is_of(by))
        return {entry.title for entry in entries if entry.title is not None}

    async def verify(self, token: str) -> Identity:
        """Return whose token this is, without asking whether its session is alive.

        Raises:
            TokenInvalid: when it is malformed, forged, or of an unknown issuer.
            Unavailable: when the keys cannot be fetched.
        """
        header = read_header(token)
        entry = self.find(header, read_claims(token).get("iss"))
        claims, key = await self._check_signature(token, header, entry)
        identity = identify(claims, token, entry.rules)
        login = "unnamed" if identity.per_token else "named"
        self._metrics.tokens.inc(entry.name, login)
        if identity.per_token:
            self._warn_once(entry)
        proof = self._prove(header, claims.get("iss"), entry.rules, key)
        return msgspec.structs.replace(identity, proof=proof)

    def _prove(self, header: Header, iss: object, rules: Rules, key: Any) -> Proof:
        """Return the proof that all tokens share which are verified by the same."""
        name = (header, iss if isinstance(iss, str) else None, id(key))
        proof = self._proofs.get(name)
        if proof is None or proof.rules is not rules:
            self._proofs[name] = proof = Proof(header, iss, rules, key)
        return proof

    def accepts(self, proof: object) -> bool:
        """Return whether a token with this proof would be verified now, without fetching keys."""
        if not isinstance(proof, Proof):
            return False
        try:
            entry = self.find(proof.header, proof.iss)
        except TokenInvalid:
            return False
        keys = self._keys[entry.keys]
        return entry.rules.is_equivalent_to(proof.rules) and keys.has(proof.header, proof.key)

    async def verify_logout_token(self, token: str, clock: Clock) -> Signal:
        """Return what a logout token asks for.

        Raises:
            SignalRefused: when it is malformed, forged, or not for this hub.
            KeyUncertain: when its key may be a new one, which cannot be fetched now.
            Unavailable: when there are no keys yet, or the store does not answer.
        """
        claims, entry = await self._open_signal(token, read_logout_header(token))
        return read_logout_token(claims, entry, await clock())

    async def verify_assertion(self, token: str, clock: Clock) -> tuple[Entry, Assertion]:
        """Return which issuer asks for global token revocation; raises as `verify_logout_token`."""
        claims, entry = await self._open_signal(token, read_assertion_header(token))
        return entry, read_assertion(claims, entry, await clock())

    async def _open_signal(self, token: str, header: Header) -> tuple[dict[str, Any], Entry]:
        """Return the claims of a signal whose signature is that of an entry."""
        with refusing(Refusal.MALFORMED):
            iss = read_claims(token).get("iss")
        if not any(entry.rules.is_of(iss) for entry in self._entries):
            raise SignalRefused(Refusal.ISSUER, "the token is of another issuer (iss)")
        with refusing(Refusal.SIGNATURE), sparing_new_keys():
            entry = self.find(header, iss)
            return (await self._check_signature(token, header, entry))[0], entry

    async def _check_signature(
        self, token: str, header: Header, entry: Entry
    ) -> tuple[dict[str, Any], Any]:
        keys = await self._keys[entry.keys].find(header)
        if entry not in self._entries:
            raise Unavailable("the issuers were just replaced")
        return check_signature_by_any(token, keys, entry.rules)

    def find(self, header: Header, iss: object) -> Entry:
        """Return the entry that a token with this header and ``iss`` belongs to.

        Raises:
            TokenInvalid: when there is none; ``detail`` says whether by ``iss`` or by ``alg``.
        """
        return select_entry(self._entries, header, iss)

    def _warn_once(self, entry: Entry) -> None:
        if entry.name not in self._warned:
            self._warned.add(entry.name)
            log.warning(
                "tokens of an issuer do not identify their login: each is a session of its own",
                issuer=entry.name,
                looked_for=entry.rules.session,
            )
