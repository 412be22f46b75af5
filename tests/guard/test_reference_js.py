"""The page about the guard for Node is held to its types, and the variables to Python's."""

from __future__ import annotations

import re

from hub.guard.core import METRICS
from hub.guard.options import VARIABLES
from tests.test_docs import ROOT, read, sections, table

PAGE = "guard-js.md"
TYPES = ROOT / "guard_js" / "types"
PROPERTY = r"^    (\w+)\??: "
MEMBER = r"^    (?!constructor|static|#)(?:get )?(\w+)(?:\(|\?|:)"


def declared(file: str, declaration: str, pattern: str) -> set[str]:
    """Return the names that a type or a class declares."""
    source = (TYPES / file).read_text(encoding="utf-8")
    found = re.search(rf"^export {declaration}.*?{{$(.*?)^}}", source, re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(re.findall(pattern, found[1], re.MULTILINE))


def test_every_option_is_documented() -> None:
    """And no other."""
    told = set(table(sections(read(PAGE))["Options"], "option"))
    assert told == declared("options.d.ts", "type Options", PROPERTY)


def test_every_member_is_documented() -> None:
    """And no other, of a guard and of a watch."""
    told = {row.partition("(")[0] for row in table(read(PAGE), "member")}
    assert told == declared("guard.d.ts", "declare class Guard", MEMBER)
    watches = {row.partition("(")[0] for row in table(sections(read(PAGE), 3)["Watches"], "member")}
    assert watches == declared("watches.d.ts", "declare class Watch ", MEMBER) - {"finish"}


def test_every_member_of_an_issuer_is_documented() -> None:
    """Each is named on the page."""
    named = set(re.findall(r"`(\w+)`", sections(read(PAGE), 3)["Issuers"]))
    assert declared("issuers.d.ts", "type Issuer ", PROPERTY) <= named


def test_every_option_of_middleware_is_documented() -> None:
    """And no other."""
    told = set(table(sections(read(PAGE))["Middleware"], "option"))
    gate = declared("gate.d.ts", "type GateOptions", PROPERTY)
    assert told == gate | {"cutStreams"}


def test_it_reads_the_variables_of_a_guard_in_python() -> None:
    """The page names all of them, and its module reads all of them."""
    source = (ROOT / "guard_js" / "environment.js").read_text(encoding="utf-8")
    assert set(re.findall(r"\bHUB_[A-Z_]+[A-Z]\b", source)) == set(VARIABLES)
    assert set(VARIABLES) <= set(re.findall(r"`(HUB_\w+)`", read(PAGE)))


def test_it_measures_what_the_guard_in_python_does() -> None:
    """By the same names; a test in Node holds them to what it measures."""
    assert set(table(sections(read(PAGE), 3)["Metrics"], "metric")) == set(METRICS)
