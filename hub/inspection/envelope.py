"""Checks of a token apart from its claims: form, kind, issuer, algorithm and signature."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from hub.core import tokens
from hub.core.claims import is_name
from hub.core.issuers import SYMMETRIC
from hub.core.kinds import check_kind as refuse_other_kinds
from hub.core.kinds import is_token_type
from hub.core.model import MAX_NAME_LENGTH
from hub.core.tokens import MAX_TOKEN_BYTES
from hub.core.verification_keys import ALGORITHMS
from hub.errors import HubError, TokenInvalid, Unavailable
from hub.inspection.recognition import recognize_kind
from hub.inspection.subject import Check, Subject
from hub.inspection.text import show

Found = Sequence[Any] | HubError | None
"""The keys for a token's header, why there are none, or None when none were fetched."""


def explain_form(token: str, error: TokenInvalid) -> Check:
    """Return the only check of a token that cannot be parsed."""
    match token.count("."):
        case _ if len(token) > MAX_TOKEN_BYTES:
            advice = "have the issuer write fewer claims into access tokens (groups, roles)"
        case 0:
            advice = (
                "have the issuer make access tokens JWTs: at many the app has to name an audience, "
                "an API or a resource when it asks for tokens"
            )
        case 4:
            advice = "turn the encryption of access tokens off at the issuer"
        case _:
            advice = "pass the access token as the app sends it, with nothing before or after it"
    return Check("form", "bad", error.detail, advice)


def check_kind(subject: Subject) -> Check:
    """Check whether this is an access token, by its typ and by claims of other kinds."""
    kind, seems = subject.header.get("typ", "JWT"), recognize_kind(subject.header, subject.claims)
    is_token = is_token_type(kind)
    advice = "send the access token: other tokens of the issuer are not meant for the hub"
    if not is_token or not {"crit", "b64"}.isdisjoint(subject.header):
        what = f"typ is {show(kind)}" if not is_token else "the header asks for an extension"
        return Check("kind", "bad", what + (f": {seems}" if seems else ""), advice)
    try:
        refuse_other_kinds(subject.claims, any_audience=subject.rules.audience is None)
    except TokenInvalid as error:
        what, _, advice = error.detail.partition(": ")
        return Check("kind", "bad", what, advice)
    if seems:
        return Check("kind", "fair", f"this seems to be {seems}", advice)
    return Check("kind", "good", f"typ is {show(kind)}")


def check_issuer(subject: Subject, *, fits: bool) -> Check:
    """Check whether an entry accepts tokens of this issuer.

    ``fits`` says that all claims were found, so that no preset needs to be suggested.
    """
    iss, names = subject.claims.get("iss"), [entry.name for entry in subject.entries]
    if any(entry.rules.is_of(iss) for entry in subject.entries):
        preset = subject.entry.preset if subject.entry is not None else None
        taken = subject.entry.name if subject.entry is not None else show(iss)
        detail = taken + (f" (preset {preset})" if preset else "")
        advice = ""
        if not fits and preset is None and subject.seems:
            advice = f"there is a preset for it: {subject.setting('preset', subject.seems)}"
        return Check("issuer", "good", detail, advice)
    detail = f"{show(iss)}, and tokens of {', '.join(dict.fromkeys(names))} are accepted"
    if not isinstance(iss, str) or not is_name(iss):
        return Check("issuer", "bad", detail, "have the issuer write its name, iss, into tokens")
    near = next((name for name in names if _tidy(name) == _tidy(iss)), None)
    if near is not None:
        advice = f"iss is compared letter by letter: {subject.setting('iss', iss)}"
        return Check("issuer", "bad", detail, f"{advice}; or name it in aliases")
    preset = f' and preset = "{subject.seems}"' if subject.seems else ""
    advice = f"if its tokens should be accepted: {subject.setting('iss', iss)}{preset}"
    return Check("issuer", "bad", detail, advice)


def check_algorithm(subject: Subject) -> Check:
    """Return whether an entry of this issuer accepts tokens of this algorithm."""
    algorithm = subject.header.get("alg")
    named = [entry for entry in subject.entries if entry.rules.is_of(subject.claims.get("iss"))]
    pinned = list(dict.fromkeys(a for entry in named for a in entry.rules.algorithms))
    if algorithm not in ALGORITHMS:
        advice = "have the issuer sign with RS256, ES256 or EdDSA"
        return Check("algorithm", "bad", f"{show(algorithm)} is never accepted", advice)
    if not named or algorithm in pinned:
        return Check("algorithm", "good", str(algorithm))
    detail = f"{algorithm}, and {', '.join(pinned)} are accepted"
    if algorithm in SYMMETRIC:
        advice = (
            "a shared secret signed it: have the issuer sign with its published keys, or add "
            f"an entry with the secret: {subject.setting('secret')}"
        )
    else:
        advice = f"if the issuer means it: {subject.setting('algorithms')} with {algorithm}"
    return Check("algorithm", "bad", detail, advice)


def check_signature(subject: Subject, token: str, found: Found) -> Check:
    """Check whether one of the keys that were found signed the token."""
    kid = subject.header.get("kid")
    key = "" if kid is None else f" (kid {show(kid)})"
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_NAME_LENGTH):
        return Check("signature", "bad", "kid is not a short string", "fix it at the issuer")
    match found:
        case None:
            return Check("signature", "unchecked", f"no key was looked for{key}")
        case Unavailable():
            advice = "let this machine reach the issuer; logout-hub doctor says how it fails"
            return Check("signature", "bad", found.detail, advice)
        case HubError():
            advice = "a token of another issuer or environment, or the key was withdrawn since"
            return Check("signature", "bad", found.detail + key, advice)
    with contextlib.suppress(TokenInvalid):
        tokens.check_signature_by_any(token, found, subject.rules)
        return Check("signature", "good", f"verifies{key}")
    advice = "another key signed it, or it was changed or cut on the way"
    is_fetched = subject.entry is not None and subject.entry.keys.is_fetched
    if not is_fetched and subject.entry is not None:
        advice += f": compare {subject.setting(subject.entry.keys.kind.value)} with the issuer's"
    return Check("signature", "bad", "does not verify" + key, advice)


def _tidy(iss: str) -> str:
    return iss.lower().rstrip("/").removeprefix("http://").removeprefix("https://")
