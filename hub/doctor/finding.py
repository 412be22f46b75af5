"""What a check of the doctor found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["good", "fair", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: good, fair (it works, but with a caveat) or bad."""

    check: str
    level: Level
    detail: str

    def describe(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return asdict(self)
