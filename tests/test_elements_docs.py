"""The page about the elements is held to their code, both ways."""

from __future__ import annotations

import json
import re

from hub.pages import read_elements
from tests.test_docs import ROOT, read, sections, table
from tests.test_pages import node

SOURCE = read_elements()
TOLD = sections(read("elements.md"))


def css_properties() -> dict[str, tuple[str, str]]:
    """Return the custom properties that the style sheet reads, with their light and dark values."""
    found = re.findall(r"var\((--hub-[\w-]+), (?:light-dark\((\S+), (\S+)\)|(\S+))\)", SOURCE)
    return {name: (light or both, dark or both) for name, light, dark, both in found}


def test_every_part_is_documented() -> None:
    """The table of parts has each part that the code gives, and no other."""
    groups = re.findall(r'\bpart: "([^"]+)"|makeButton\("([^"]+)"|part\.value = `(.+)`', SOURCE)
    words = " ".join(" ".join(group) for group in groups)
    parts = set(re.findall(r"(?<![\w{])[a-z-]+", words.replace('"', " ")))
    assert len(parts) > 20
    assert set(table(TOLD["Parts"], "part")) == parts


def test_every_custom_property_is_documented_with_its_values() -> None:
    """The table of custom properties is what the style sheet reads, with the same defaults."""
    rows = table(TOLD["Custom properties"], "property")
    told = {name: (light.strip("`"), dark.strip("`")) for name, (_, light, dark) in rows.items()}
    assert told == css_properties()
    assert set(re.findall(r"--hub-[\w-]+", SOURCE)) == set(told)


def test_every_attribute_is_documented() -> None:
    """The table of attributes has each that the code reads, and no other."""
    observed = re.search(r"observedAttributes = \[(.+)\]", SOURCE)
    assert observed is not None
    attributes = set(re.findall(r'"([\w-]+)"', observed[1]))
    attributes |= set(re.findall(r'(?:this|element)\.getAttribute\("([\w-]+)"\)', SOURCE))
    assert set(table(TOLD["Attributes"], "attribute")) == attributes


def test_every_event_is_documented() -> None:
    """The table of events has each that the elements send to the page, and no other."""
    sent = set(re.findall(r'this\.dispatchEvent\(new CustomEvent\("(\w+)"', SOURCE))
    assert set(table(TOLD["Events"], "event")) == sent


def test_every_text_is_documented_as_it_is() -> None:
    """The table of texts is the English that is shipped, word for word."""
    script = """
        const { textsFor } = await import(process.argv[1]);
        console.log(JSON.stringify(textsFor("en").texts));
    """
    module = (ROOT / "client_js" / "elements" / "texts.js").as_uri()
    texts = json.loads(node("--input-type=module", "--eval", script, module))
    told = {key: cells[0] for key, cells in table(TOLD["Texts"], "text").items()}
    assert told == {key: in_a_cell(text) for key, text in texts.items()}


def in_a_cell(text: str | dict[str, str]) -> str:
    """Return a text as the table shows it."""
    if isinstance(text, str):
        return text
    return " / ".join(f"{category}: {form}" for category, form in text.items())
