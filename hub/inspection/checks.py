"""What is right and wrong with a token, one check a subject, each with what to change.

These explain; the verdict is that of the hub's own rules, in `hub.inspection.verdict`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from hub.core.claims import find_claim, first_claim, read_date, read_id
from hub.core.issuers import SYMMETRIC, Entry
from hub.core.model import MAX_NAME_LENGTH, SECOND, Identity, Micros, Standing
from hub.core.presets import PRESETS, USUAL
from hub.core.recognition import (
    AUDIENCE_TIPS,
    LOGIN_CLAIMS,
    LOGIN_TIPS,
    PARTY_CLAIMS,
    recognize,
    recognize_kind,
)
from hub.core.revocation import judge
from hub.core.tokens import (
    ALGORITHMS,
    AUTH_TIME,
    MAX_TOKEN_BYTES,
    TOKEN_TYPES,
    Rules,
    check_parties,
    check_signature,
)
from hub.errors import HubError, TokenExpired, TokenInvalid, Unavailable
from hub.inspection.words import show, show_span, show_time
from hub.issuers_file import VARIABLES

Verdict = Literal["good", "fair", "bad", "unchecked"]
Found = Sequence[Any] | HubError | None
"""The keys of a token's header, why there are none, or None when they were not looked for."""

SETTINGS = {
    **VARIABLES,
    "iss": "HUB_JWT_ISSUER",
    "max_lifetime": "HUB_TOKEN_MAX_LIFETIME",
    "leeway": "HUB_JWT_LEEWAY",
}
"""What to set for a member of an ``[[issuer]]`` where there is no file of issuers."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``advice`` says what to change."""

    name: str
    verdict: Verdict
    detail: str
    advice: str = ""


def explain_form(token: str, error: TokenInvalid) -> Check:
    """Return the one check of what is no token that could be looked into."""
    match token.count("."):
        case _ if len(token) > MAX_TOKEN_BYTES:
            advice = "let the issuer write fewer claims into access tokens (groups, roles)"
        case 0:
            advice = (
                "let the issuer make access tokens JWTs: at many the app has to name an audience, "
                "an API or a resource when it asks for tokens"
            )
        case 4:
            advice = "turn the encryption of access tokens off at the issuer"
        case _:
            advice = "pass the access token as the app sends it, with nothing before or after it"
    return Check("form", "bad", error.detail, advice)


class Checks:
    """The checks of a token that has the form of one, by the rules of the nearest entry."""

    def __init__(
        self,
        header: dict[str, Any],
        claims: dict[str, Any],
        entry: Entry | None,
        entries: tuple[Entry, ...],
        *,
        in_file: bool,
    ) -> None:
        self._header, self._claims, self._entry = header, claims, entry
        self._entries, self._in_file = entries, in_file
        self._seems = recognize(claims.get("iss"), claims)
        self.rules = self._usual_rules() if entry is None else entry.rules

    def all(self, token: str, found: Found, identity: Identity | None, now: Micros) -> list[Check]:
        """Return every check, in the order in which one would mend what they find."""
        readings = [self._audience(), self._user()]
        if identity is not None:
            readings += [self._session(identity), self._login_time(identity)]
        return [
            Check("form", "good", f"a JWT of {len(token)} bytes"),
            self._kind(),
            self._issuer(fits=all(check.verdict == "good" for check in readings)),
            self._algorithm(),
            self._signature(token, found),
            *readings,
            *self._times(now),
        ]

    def _usual_rules(self) -> Rules:
        preset = PRESETS.get(self._seems or "", USUAL)
        return Rules(
            ALGORITHMS,
            max(entry.rules.max_lifetime for entry in self._entries),
            user=preset.user,
            session=preset.session,
            login_time=preset.login_time,
        )

    def _setting(self, member: str, value: Any = None) -> str:
        """Return what to write, and where, to set a member of the entry."""
        if not self._in_file and member in SETTINGS:
            return SETTINGS[member] + ("" if value is None else f"={show(value)}")
        line = member if value is None else f"{member} = {json.dumps(value, ensure_ascii=False)}"
        return f"{line} in an [[issuer]] of the file HUB_ISSUERS"

    def _kind(self) -> Check:
        kind, seems = self._header.get("typ", "JWT"), recognize_kind(self._header, self._claims)
        is_token = (
            isinstance(kind, str) and kind.lower().removeprefix("application/") in TOKEN_TYPES
        )
        advice = "send the access token: what else an issuer signs is for somebody else"
        if not is_token or not {"crit", "b64"}.isdisjoint(self._header):
            what = f"typ is {show(kind)}" if not is_token else "the header asks for an extension"
            return Check("kind", "bad", what + (f": {seems}" if seems else ""), advice)
        if seems:
            return Check("kind", "fair", f"this seems to be {seems}", advice)
        return Check("kind", "good", f"typ is {show(kind)}")

    def _issuer(self, *, fits: bool) -> Check:
        iss, names = self._claims.get("iss"), [entry.name for entry in self._entries]
        if any(entry.rules.is_of(iss) for entry in self._entries):
            preset = self._entry.preset if self._entry is not None else None
            taken = self._entry.name if self._entry is not None else show(iss)
            detail = taken + (f" (preset {preset})" if preset else "")
            advice = ""
            if not fits and preset is None and self._seems:
                advice = f"there is a preset for it: {self._setting('preset', self._seems)}"
            return Check("issuer", "good", detail, advice)
        detail = f"{show(iss)}, and tokens of {', '.join(dict.fromkeys(names))} are taken"
        if not isinstance(iss, str):
            return Check("issuer", "bad", detail, "let the issuer write iss into its tokens")
        near = next((name for name in names if _tidy(name) == _tidy(iss)), None)
        if near is not None:
            advice = f"iss is compared letter by letter: {self._setting('iss', iss)}"
            return Check("issuer", "bad", detail, f"{advice}; or name it in aliases")
        preset = f' and preset = "{self._seems}"' if self._seems else ""
        advice = f"if its tokens are to be taken: {self._setting('iss', iss)}{preset}"
        return Check("issuer", "bad", detail, advice)

    def _algorithm(self) -> Check:
        algorithm = self._header.get("alg")
        named = [entry for entry in self._entries if entry.rules.is_of(self._claims.get("iss"))]
        pinned = list(dict.fromkeys(a for entry in named for a in entry.rules.algorithms))
        if algorithm not in ALGORITHMS:
            advice = "let the issuer sign with RS256, ES256 or EdDSA"
            return Check("algorithm", "bad", f"{show(algorithm)} is never taken", advice)
        if not named or algorithm in pinned:
            return Check("algorithm", "good", str(algorithm))
        detail = f"{algorithm}, and {', '.join(pinned)} are taken"
        if algorithm in SYMMETRIC:
            advice = (
                "a shared secret signed it: let the issuer sign with its published keys, or add "
                f"an entry with the secret: {self._setting('secret')}"
            )
        else:
            advice = f"if the issuer means it: {self._setting('algorithms')} with {algorithm}"
        return Check("algorithm", "bad", detail, advice)

    def _signature(self, token: str, found: Found) -> Check:
        kid = self._header.get("kid")
        key = "" if kid is None else f" (kid {show(kid)})"
        if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_NAME_LENGTH):
            return Check("signature", "bad", "kid is not a short string", "mend it at the issuer")
        match found:
            case None:
                return Check("signature", "unchecked", f"no key was looked for{key}")
            case Unavailable():
                advice = "let this machine reach the issuer; logout-hub doctor says how it fails"
                return Check("signature", "bad", found.detail, advice)
            case HubError():
                advice = "a token of another issuer or environment, or the key was withdrawn since"
                return Check("signature", "bad", found.detail + key, advice)
        for candidate in found:
            try:
                check_signature(token, candidate, self.rules)
            except TokenInvalid:
                continue
            return Check("signature", "good", f"verifies{key}")
        advice = "another key signed it, or it was changed or cut on the way"
        is_fetched = self._entry is not None and self._entry.keys.is_fetched
        if not is_fetched and self._entry is not None:
            advice += f": compare {self._setting(self._entry.keys.kind.value)} with the issuer's"
        return Check("signature", "bad", "does not verify" + key, advice)

    def _audience(self) -> Check:
        rules, present = self.rules, ", ".join(self._parties()) or "nobody"
        if self._entry is None:
            return Check("audience", "unchecked", f"for {present}")
        if rules.audience is None:
            detail = f"for {present}; any is taken"
            if not self._entry.keys.is_fetched:
                return Check("audience", "good", detail)
            advice = f"the issuer's other apps act here too: {self._setting('audience')} mends it"
            return Check("audience", "fair", detail, advice)
        try:
            check_parties(self._claims, msgspec.structs.replace(rules, issuer=None))
        except TokenInvalid:
            wanted = f"{', '.join(rules.audience)} in {' or '.join(rules.audience_claims)}"
            return Check(
                "audience", "bad", f"for {present}; wanted is {wanted}", self._mend_audience()
            )
        return Check("audience", "good", f"for {present}")

    def _parties(self) -> list[str]:
        given = ((name, find_claim(self._claims, name)) for name in PARTY_CLAIMS)
        return [f"{show(value)} ({name})" for name, value in given if value is not None]

    def _mend_audience(self) -> str:
        for name in PARTY_CLAIMS[1:]:
            if find_claim(self._claims, name) in (self.rules.audience or ()):
                return self._setting("audience_claims", ["aud", name])
        audience = self._claims.get("aud")
        first = audience[0] if isinstance(audience, list) and audience else audience
        if not isinstance(first, str):
            first = next((v for n in PARTY_CLAIMS if isinstance(v := self._claims.get(n), str)), "")
        tip = AUDIENCE_TIPS.get((self._entry and self._entry.preset) or self._seems or "")
        advice = f"if that is your app: {self._setting('audience', first or None)}"
        return advice + (f"; {tip}" if tip else "; or let the app ask for tokens of that audience")

    def _user(self) -> Check:
        claim, value = first_claim(self._claims, self.rules.user)
        if not claim:
            others = [n for n in ("sub", "user_id", "uid", "oid") if n in self._claims]
            advice = self._setting("user", others[0]) if others else "let the issuer write it"
            detail = f"the claim {' or '.join(self.rules.user)} is missing"
            return Check("user", "bad", detail, advice)
        try:
            return Check("user", "good", f"{show(read_id(claim, value))} ({claim})")
        except TokenInvalid as error:
            advice = f"name another claim: {self._setting('user')}"
            return Check("user", "bad", error.detail, advice)

    def _session(self, identity: Identity) -> Check:
        claim, _ = first_claim(self._claims, self.rules.session)
        if not identity.per_token:
            return Check("session", "good", f"{show(identity.sid)} ({claim})")
        source = "jti" if self._claims.get("jti") is not None else "a hash of the token"
        detail = f"{show(identity.sid)} ({source}), per token: each refresh is a new session"
        others = [
            name
            for name in (*LOGIN_CLAIMS, *self._claims)
            if name.rpartition("/")[2] in LOGIN_CLAIMS and find_claim(self._claims, name)
        ]
        preset = (self._entry and self._entry.preset) or self._seems or ""
        if others:
            advice = self._setting("session", others[0])
        else:
            advice = LOGIN_TIPS.get(preset, "let the issuer write the login's id, sid, into tokens")
        return Check("session", "fair", detail, advice)

    def _login_time(self, identity: Identity) -> Check:
        claim, _ = first_claim(self._claims, self.rules.login_time)
        if identity.login_at is not None:
            return Check("login time", "good", f"{show_time(identity.login_at)} ({claim})")
        detail = "not told: a token that a refresh got after a logout counts as newer than it"
        if find_claim(self._claims, "amr.0.timestamp") is not None:
            advice = self._setting("login_time", "amr.0.timestamp")
        else:
            advice = f"let the issuer write {AUTH_TIME} into access tokens"
        return Check("login time", "fair", detail, advice)

    def _times(self, now: Micros) -> list[Check]:
        """Return the checks of how long the token lives, and of whether it does by this clock."""
        missing = [name for name in ("iat", "exp") if self._claims.get(name) is None]
        if missing:
            advice = "let the issuer write it: a token without an end is never taken"
            return [Check("times", "bad", f"the claim {missing[0]} is missing", advice)]
        try:
            iat, exp, nbf = (
                read_date(name, self._claims.get(name) or 0) for name in ("iat", "exp", "nbf")
            )
        except TokenInvalid as error:
            return [Check("times", "bad", error.detail, "let the issuer write seconds since 1970")]
        return [self._lifetime(exp - iat), self._clock(iat, exp, nbf, now)]

    def _lifetime(self, lifetime: Micros) -> Check:
        most = self.rules.max_lifetime
        if lifetime <= 0:
            return Check("lifetime", "bad", "exp does not follow iat", "mend it at the issuer")
        if lifetime <= most:
            return Check("lifetime", "good", show_span(lifetime))
        detail = f"{show_span(lifetime)}, and at most {show_span(most)} is taken"
        need = -(-lifetime // SECOND)
        advice = f"shorten it at the issuer, or {self._setting('max_lifetime', need)}"
        return Check("lifetime", "bad", detail, advice)

    def _clock(self, iat: Micros, exp: Micros, nbf: Micros, now: Micros) -> Check:
        leeway = self.rules.leeway
        about = Identity(user="", sub="", iss="", sid="", iat=iat, exp=exp, nbf=nbf, leeway=leeway)
        refusal, end = judge(about, Standing(now=now)), exp + leeway
        if refusal is None:
            detail = f"lives until {show_time(end)}, {show_span(end - now)} from now"
            return Check("times", "good", detail)
        if isinstance(refusal, TokenExpired):
            detail = f"expired at {show_time(end)}, {show_span(now - end)} ago"
            return Check("times", "bad", detail, "take a newer token")
        ahead = max(iat, nbf)
        detail = f"begins at {show_time(ahead)}, {show_span(ahead - now)} from now"
        advice = f"set the issuer's clock and this machine's, or raise {self._setting('leeway')}"
        return Check("times", "bad", detail, advice)


def _tidy(iss: str) -> str:
    return iss.lower().rstrip("/").removeprefix("http://").removeprefix("https://")
