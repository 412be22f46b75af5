"""What the checks share: the parsed token, its issuer entry, and the names of settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hub.core.issuers import Entry
from hub.core.presets import PRESETS, USUAL
from hub.core.single_issuer import VARIABLES
from hub.core.tokens import Rules
from hub.core.verification_keys import ALGORITHMS
from hub.inspection.recognition import recognize
from hub.inspection.text import show
from hub.terminal import encode_json

Verdict = Literal["good", "fair", "bad", "unchecked"]

SETTINGS = {
    **VARIABLES,
    "iss": "HUB_JWT_ISSUER",
    "max_lifetime": "HUB_TOKEN_MAX_LIFETIME",
    "leeway": "HUB_JWT_LEEWAY",
}
"""The variable for a member of an ``[[issuer]]``, where there is no issuers file."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; ``advice`` says what to change."""

    name: str
    verdict: Verdict
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """A token that can be parsed, with the entry that it belongs to or comes closest to.

    ``in_file`` says that the entries are from a file, so that advice names its members.
    """

    header: dict[str, Any]
    claims: dict[str, Any]
    entry: Entry | None
    entries: tuple[Entry, ...]
    in_file: bool

    @property
    def seems(self) -> str | None:
        """The preset of the provider that the token seems to be from."""
        return recognize(self.claims.get("iss"), self.claims)

    @property
    def preset(self) -> str:
        """The entry's preset, else the one that the token seems to need."""
        return (self.entry and self.entry.preset) or self.seems or ""

    @property
    def rules(self) -> Rules:
        """The rules of the entry, or what is usual at that provider."""
        if self.entry is not None:
            return self.entry.rules
        preset = PRESETS.get(self.seems or "", USUAL)
        return Rules(
            ALGORITHMS,
            max(entry.rules.max_lifetime for entry in self.entries),
            user=preset.user,
            session=preset.session,
            login_time=preset.login_time,
        )

    def setting(self, member: str, value: Any = None) -> str:
        """Return how to set a member of the entry: a variable, or a line of the issuers file."""
        if not self.in_file and member in SETTINGS:
            return SETTINGS[member] + ("" if value is None else f"={show(value)}")
        line = member
        if value is not None:
            line += f" = {encode_json(value, ensure_ascii=not str(value).isprintable())}"
        return f"{line} in an [[issuer]] of the file HUB_ISSUERS"
