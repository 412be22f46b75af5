"""How long fuzzers run, and the hubs that they talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.hub import FuzzedHub, fuzzed
from tests.fuzz.oracle import check_well


@pytest.fixture
def hub() -> Iterator[FuzzedHub]:
    """A hub on the embedded store, which must be well at the end."""
    with fuzzed() as running:
        yield running
        check_well(running)
