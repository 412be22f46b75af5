"""What a client prefers, as ``Accept`` and its like say it (RFC 9110 sections 12.4.2 and 12.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST = 50
"""Items of a field that are read; browsers send fewer than ten."""

# Ends in any case, so that the time is linear in the length.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]+")
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_SPACE = " \t"


def read_weights(lines: Iterable[str]) -> dict[str, float]:
    """Return the weight of each name in the lines of a field, in their order.

    Weights are from 0, which is "not acceptable", to 1. Names are in lower case. Parameters other
    than the weight are ignored, and of a name that is repeated the highest weight counts. An item
    whose name or weight is malformed is ignored, and so are items beyond the first `MOST`.
    """
    items = _QUOTED.sub('""', ",".join(lines)).split(",", MOST)[:MOST]
    weights: dict[str, float] = {}
    for item in items:
        name, *parameters = (part.strip(_SPACE).lower() for part in item.split(";"))
        given = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
        weight = given[0] if given else "1"
        if _NAME.fullmatch(name) and _WEIGHT.fullmatch(weight):
            weights[name] = max(float(weight), weights.get(name, 0.0))
    return weights
