"""Names of devices that people recognise."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.device import MAX_NAME, UNKNOWN, describe_user_agent, tidy_name

CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 {}Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (CHROME.format("Windows NT 10.0; Win64; x64", ""), ["Chrome", "Windows"]),
        (CHROME.format("X11; Linux x86_64", ""), ["Chrome", "Linux"]),
        (CHROME.format("Linux; Android 14; Pixel 8", "Mobile "), ["Chrome", "Android", "Pixel 8"]),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:128.0) Gecko/20100101 Firefox/128.0",
            ["Firefox", "Mac OS X"],
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            ["Safari", "iOS", "iPhone"],
        ),
    ],
)
def test_browsers_are_named_by_program_and_system(user_agent: str, words: list[str]) -> None:
    """A person finds program, system and model of a phone in the name."""
    name = describe_user_agent(user_agent)
    assert [word for word in words if word not in name] == []


@pytest.mark.parametrize("user_agent", ["", " ", "-", "\x00", "()", "Mozilla/5.0"])
def test_what_tells_nothing_is_an_unknown_device(user_agent: str) -> None:
    """A list of sessions has a name in every line."""
    assert describe_user_agent(user_agent) == UNKNOWN


@given(st.text())
def test_any_user_agent_gets_a_short_name(user_agent: str) -> None:
    """No header is too odd to be named."""
    assert 0 < len(describe_user_agent(user_agent)) <= MAX_NAME


def test_a_long_user_agent_gets_a_short_name() -> None:
    """A header as long as the server takes neither stalls the parser nor fills a screen."""
    for part in ("x" * 8000, "Chrome/1 " * 900, "(" * 8000, "Linux; Android 9; " + "m" * 8000):
        assert 0 < len(describe_user_agent(part)) <= MAX_NAME


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ""),
        ("", ""),
        (" \t\n ", ""),
        ("Ada's phone", "Ada's phone"),
        ("  Ada's \n phone\t", "Ada's phone"),
        ("телефон 📱", "телефон 📱"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("\ud800x", "x"),
        ("\u200b", ""),
        ("x" * 200, "x" * MAX_NAME),
        ("x" * (MAX_NAME - 1) + " y", "x" * (MAX_NAME - 1)),
    ],
)
def test_a_given_name_is_made_one_printable_line(given: str | None, expected: str) -> None:
    """What a client calls itself is shown to people, so it is tidied first."""
    assert tidy_name(given) == expected


@given(st.text(alphabet=st.characters()))
def test_a_tidy_name_is_tidy(name: str) -> None:
    """Any text, lone surrogates too, becomes short, printable, and text that can be stored."""
    tidied = tidy_name(name)
    assert len(tidied) <= MAX_NAME
    assert tidied.isprintable()
    assert tidied == tidied.strip()
    assert tidied.encode().decode() == tidied


def test_the_first_socket_finds_the_patterns_loaded() -> None:
    """Once they are loaded, naming a device takes next to no memory, and so no time either."""
    program = """
        import resource
        from hub.access.device import describe_user_agent, load_patterns
        load_patterns()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        describe_user_agent("Mozilla/5.0 (X11; Linux x86_64) Chrome/137.0.0.0 Safari/537.36")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    run = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 5_000
