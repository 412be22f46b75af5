"""Authenticates the clients of the OAuth endpoints by their secrets (RFC 6749 section 2.3.1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_plus

from hub.core.clients import OAuthClient
from hub.errors import InvalidClient, InvalidRequest


class Clients:
    """The configured clients."""

    def __init__(self, clients: Iterable[OAuthClient]) -> None:
        self.replace(clients)

    def replace(self, clients: Iterable[OAuthClient]) -> None:
        """Replace the clients, which may be done while the hub runs."""
        self._clients = tuple((client, _hash(client.id)) for client in clients)

    def authenticate(self, authorization: str | None, form: Mapping[str, str]) -> str | None:
        """Return the id of the client that sent a request; None if it sent no secret.

        ``authorization`` is the header of that name. A ``client_id`` alone, as public clients send
        it, proves nothing and is ignored.

        Raises:
            InvalidClient: if there is no such client and secret, or the header is not Basic.
            InvalidRequest: if it authenticates in two ways (RFC 6749 section 2.3).
        """
        secret = form.get("client_secret")
        if authorization is None:
            return None if secret is None else self._find([(form.get("client_id", ""), secret)])
        if secret is not None:
            raise InvalidRequest("a client authenticates by the header or by the form, not both")
        found = self._find(_read_basic(authorization))
        if form.get("client_id", found) != found:
            raise InvalidRequest("client_id is another client than the header names")
        return found

    def _find(self, given: Iterable[tuple[str, str]]) -> str:
        """Return the client that has one of these pairs of id and secret, in constant time."""
        found = None
        for name, secret in given:
            name_digest, digest = _hash(name), _hash(secret)
            for client, client_digest in self._clients:
                # No early exit: timing must not reveal which client it is, or that there is one.
                is_named = hmac.compare_digest(client_digest, name_digest)
                if hmac.compare_digest(client.digest, digest) & is_named:
                    found = client.id
        if found is None:
            raise InvalidClient()
        return found


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _read_basic(header: str) -> list[tuple[str, str]]:
    """Return the pairs of id and secret that a header of Basic authentication may contain.

    They should be form-encoded (RFC 6749 section 2.3.1), but many clients, and ``curl``, do not
    encode them. So both readings are returned.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("Authorization is not of the form Basic BASE64")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
        name, colon, secret = text.partition(":")
        pairs = [(name, secret)]
        if "%" in text or "+" in text:
            decoded = [unquote_plus(part, errors="strict") for part in (name, secret)]
            pairs.append((decoded[0], decoded[1]))
    except (binascii.Error, ValueError):
        raise InvalidClient("the header cannot be read") from None
    if not colon:
        raise InvalidClient("the header cannot be read")
    return pairs
