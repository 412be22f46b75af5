"""What the page on Shared Signals says to enter is what the hub reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.core.issuers_document import read_document
from hub.core.transmitters import Delivery

PAGE = Path("docs/how-to/shared-signals.md").read_text(encoding="utf-8")
SECTIONS = dict(
    zip(
        re.findall(r"^## (.+)$", PAGE, re.MULTILINE),
        re.split(r"^## .+$", PAGE, flags=re.MULTILINE)[1:],
        strict=True,
    )
)


def blocks(section: str, language: str) -> list[str]:
    """Return the code blocks of a section."""
    return re.findall(rf"^```{language}\n(.*?)^```", SECTIONS[section], re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("section", ["Name the transmitter", "Okta", "Google", "Apple"])
def test_the_tables_of_the_page_are_read(section: str) -> None:
    """Each names one transmitter of one issuer, by push."""
    (text,) = blocks(section, "toml")
    document = read_document(text, max_lifetime=86_400, leeway=60)
    (transmitter,) = document.transmitters
    assert transmitter.issuer == document.entries[0].rules.issuer
    assert transmitter.delivery is Delivery.PUSH


def test_the_script_for_google_is_python() -> None:
    """It compiles; it needs an account of Google's to run."""
    (text,) = blocks("Google", "python")
    compile(text, "page", "exec")
