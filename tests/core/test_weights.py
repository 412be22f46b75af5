"""Header fields that weigh what a client prefers (RFC 9110 section 12.4.2)."""

from __future__ import annotations

import time

import pytest

from hub.core.weights import MOST, read_weights

NAMES = ",".join(f"x{number}" for number in range(MOST))


@pytest.mark.parametrize(
    ("field", "weights"),
    [
        ("", {}),
        ("gzip", {"gzip": 1.0}),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", {"br": 1.0, "gzip": 0.8, "*": 0.1}),
        ("text/html, */*;q=0", {"text/html": 1.0, "*/*": 0.0}),
        ("GZIP;Q=0.5", {"gzip": 0.5}),
        ("de\t;\tq=0.125 ,en", {"de": 0.125, "en": 1.0}),
        (" , ,en,, ", {"en": 1.0}),
        ("en;q=0.;x", {"en": 0.0}),
        ("en;q=1.000", {"en": 1.0}),
        ("a/b;version=1;q=0.3;more=2", {"a/b": 0.3}),
        ('a/b;x="1,2;q=0 \\", c/d", e/f;q=0.5', {"a/b": 1.0, "e/f": 0.5}),
        ('a/b;x="never ends, c/d', {"a/b": 1.0}),
        ("en;q=0.1, en;q=0.7, en;q=0.3", {"en": 0.7}),
        ("en;q=0.2;q=0.9", {"en": 0.2}),
        (NAMES + ",en", dict.fromkeys(NAMES.split(","), 1.0)),
    ],
)
def test_a_field_is_read_as_it_is_defined(field: str, weights: dict[str, float]) -> None:
    """Each name with its weight, in order, whatever the spaces, the case and other parameters."""
    assert read_weights([field]) == weights
    assert list(read_weights([field])) == list(weights)


@pytest.mark.parametrize(
    "weight",
    ["", "high", "nan", "inf", "-1", "+0.5", "2", "1.5", "1.001", "0.1234", ".5", "00.5", " 0.5"],
)
def test_an_item_with_a_malformed_weight_is_ignored(weight: str) -> None:
    """It says neither that the name is acceptable nor that it is not."""
    assert read_weights([f"en;q={weight}"]) == {}


@pytest.mark.parametrize("name", ["", "e n", "é", "en\x00", '"en"', "a=b", "(en)", ";"])
def test_an_item_with_a_malformed_name_is_ignored(name: str) -> None:
    """And the others are read."""
    assert read_weights([f"{name};q=0.5, de"]) == {"de": 1.0}


def test_several_lines_are_one_field() -> None:
    """As RFC 9110 section 5.2 says."""
    assert read_weights(["br;q=0.5", "gzip"]) == read_weights(["br;q=0.5, gzip"])


@pytest.mark.parametrize("part", [",", '"', '"\\', ";q=", "a;q=0.1,", '",', "\\"])
def test_a_hostile_field_costs_no_more_than_its_length(part: str) -> None:
    """A field of a mebibyte, far more than the server accepts, is read within a second."""
    began = time.process_time()
    read_weights([part * (2**20 // len(part))])
    assert time.process_time() - began < 1.0
