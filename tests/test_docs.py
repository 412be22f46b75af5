"""The documentation is held to the code, both ways: nothing is missing, nothing is made up."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
from prometheus_client import Gauge

from hub.api.routes import ROUTES
from hub.cli import COMMANDS, load_command
from hub.core import clients, issuers_table, transmitters
from hub.core.event_types import APPLE, CAEP, EVENT_TYPES, OAUTH, RISC, SSF, Ends, EventType
from hub.core.model import SECOND, Identity, Logout, Reason, RevocationState, Scope
from hub.core.revocation import judge
from hub.core.verification_keys import ALGORITHMS
from hub.environment import PLANNED, describe_settings
from hub.errors import errors
from hub.guard.options import VARIABLES
from hub.metrics import Counter, Histogram, Metrics
from hub.realtime.rounds import EVENT
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *ROOT.glob("docs/**/*.md"),
    ]
)
CLIENT = ROOT / "client_js" / "client.js"
CLIENT_FILES = sorted(
    file
    for file in CLIENT.parent.glob("*.js")
    if not file.name.endswith(".test.js") and not file.name.startswith("support")
)
HANDLERS = ROOT / "hub" / "realtime" / "handlers.py"
NAMES = ROOT / "hub" / "store" / "names.py"

DEMO_PATHS = {"/", "/demo.css", "/demo.js", "/demo/token", "/socket.io/"}


def read(page: str) -> str:
    """Return the text of a page of the reference."""
    return (REFERENCE / page).read_text(encoding="utf-8")


def table(text: str, head: str) -> dict[str, list[str]]:
    """Return the rows of the first table whose first column is called ``head``, by first cell."""
    rows: dict[str, list[str]] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {head} |"):
            next(lines)
            break
    for line in lines:
        if not line.startswith("|"):
            break
        first, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        assert first.strip("`") not in rows, f"{first} appears twice"
        rows[first.strip("`")] = rest
    return rows


def sections(text: str, level: int = 2) -> dict[str, str]:
    """Return the sections of a page by their headings."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def client_source() -> str:
    """Return the source of the browser client, however many files it has."""
    return "\n".join(file.read_text(encoding="utf-8") for file in CLIENT_FILES)


def client_options() -> set[str]:
    """Return the options of the browser client, as its types say."""
    found = re.search(
        r"@typedef {object} Options\n(.*?)(?:@typedef|\*/)", client_source(), re.DOTALL
    )
    assert found is not None
    return set(re.findall(r"@property {(?:[^{}]|{[^{}]*})*} \[?(\w+)", found[1]))


def client_members() -> set[str]:
    """Return what the browser client gives to an app, asked of a client that runs."""
    script = f"""
        const {{ attach }} = await import({CLIENT.as_uri()!r});
        const socket = {{ connected: true, on() {{}}, off() {{}} }};
        const hub = attach(socket, {{ url: "http://127.0.0.1:9", storages: [] }});
        console.log(Object.keys(hub).join(" "));
        hub.close();
    """
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return set(done.stdout.split())


def links(text: str) -> Iterator[str]:
    """Return what a page links to or shows, outside of its code blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\(([^)\s]+)\)", prose)
    yield from re.findall(r'(?:href|src|srcset)="([^"]+)"', prose)


def where(page: Path, what: str) -> str:
    """Return a page and its first line that has ``what``, as an editor opens them."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = next((number for number, line in enumerate(lines, 1) if what in line), 1)
    return f"{page.relative_to(ROOT)}:{number}"


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    heads = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def code_blocks(text: str) -> str:
    """Return the lines of a page's code blocks."""
    return "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))


def is_route(path: str) -> bool:
    """Tell whether a path is served."""
    patterns = [re.sub(r"{\w+}", "[^/]+", route.path) for route in ROUTES]
    return path in DEMO_PATHS or any(re.fullmatch(pattern, path) for pattern in patterns)


SOURCES = {CAEP: "CAEP", RISC: "RISC", SSF: "SSF", OAUTH: "Google", APPLE: "Apple"}


def cells(kind: EventType) -> list[str]:
    """Return what the table of events says of one: from whom, and what it does."""
    reaction, condition = kind.reaction, kind.condition
    only_if = ""
    if condition is not None:
        is_or_not = "is" if condition.holds else "is not"
        only_if = f"`{condition.member}` {is_or_not} `{condition.value}`"
    reason = "" if reaction.ends is Ends.NOTHING else f"`{reaction.reason}`"
    source = SOURCES[kind.uris[0].removesuffix(kind.name)]
    return [source, f"`{reaction.ends}`", reason, only_if]


def test_every_security_event_is_documented_and_no_other() -> None:
    """With what it does, and when."""
    told = table(read("signals.md"), "event")
    assert told == {kind.name: cells(kind) for kind in EVENT_TYPES}


def test_every_member_of_the_issuers_file_is_documented_and_no_other() -> None:
    """Those of each table, on the page that describes it."""
    tables = {
        "issuer": (sections(read("tokens.md"))["Several issuers"], issuers_table.Table),
        "transmitter": (sections(read("signals.md"))["Transmitters"], transmitters.Table),
        "client": (sections(read("signals.md"))["Clients"], clients.Table),
    }
    for text, form in tables.values():
        told = {name for cell in table(text, "member") for name in re.findall(r"\w+", cell)}
        assert told == set(form.__struct_fields__)


def test_every_route_is_documented_and_no_other() -> None:
    """The headings of the HTTP reference are the table of routes."""
    told = set(re.findall(r"^## `([A-Z]+ \S+)`$", read("http.md"), re.MULTILINE))
    assert told == {f"{route.method} {route.path}" for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_routes_errors_are_documented(route: object) -> None:
    """A route's section names the errors that the route may answer, and no other code."""
    assert isinstance(route, type(ROUTES[0]))
    section = sections(read("http.md"))[f"`{route.method} {route.path}`"]
    if "Errors: as `GET /session`." in section:
        section += sections(read("http.md"))["`GET /session`"]
    codes = {error.code for error in errors()}
    assert set(re.findall(r"`(\w+)`", section)) & codes == {error.code for error in route.errors}


def test_every_setting_is_documented_with_its_default() -> None:
    """The table of settings is the code's, with the same defaults and the same secrets."""
    text = read("settings.md")
    rows = table(text, "name") | table(sections(text)["Limits"], "name")
    assert {name: default.strip("`") for name, (default, _) in rows.items()} == {
        name: default for name, default, _, _ in describe_settings()
    }
    secrets = {name for name, (_, text) in rows.items() if text.startswith("Secret.")}
    assert secrets == {name for name, _, _, secret in describe_settings() if secret}
    assert "`PORT` is read too" in rows["HUB_PORT"][1]
    assert set(
        re.findall(r"`(HUB_\w+)`", sections(read("settings.md"))["Not settings yet"])
    ) == set(PLANNED)


def test_no_page_names_a_setting_that_there_is_not() -> None:
    """Every HUB_ name on any page is a setting of the hub or a guard, or said to be planned."""
    known = {name for name, _, _, _ in describe_settings()} | set(PLANNED) | set(VARIABLES)
    known.add("HUB_GUARD")  # of Django
    assert not [
        f"{where(page, name)} names {name}"
        for page in PAGES
        for name in re.findall(r"\bHUB_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8"))
        if name not in known
    ]


def test_every_error_is_documented_with_what_to_do() -> None:
    """The table of errors has each code with its status, title and whether to try again."""
    rows = table(read("errors.md"), "code")
    assert {code: cells[:3] for code, cells in rows.items()} == {
        error.code: [str(error.status), error.title, "yes" if error.retryable else "no"]
        for error in errors()
    }
    assert all(cells[3] for cells in rows.values())


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    """The table of metrics is what the hub counts, with the same types and labels."""
    metrics = Metrics()
    rows = table(read("metrics.md"), "name")
    assert sorted(rows) == metrics.names()
    types = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in metrics.registry.collect()
    }
    assert {name: cells[0] for name, cells in rows.items()} == types
    labels = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Histogram):
            name = metric.name + ("_total" if isinstance(metric, Counter) else "")
            labels[name] = set(metric.labels)
        elif isinstance(metric, Gauge):
            labels[metric._name] = set(metric._labelnames)
    assert {n: set(re.findall(r"`(\w+)`", cells[1])) for n, cells in rows.items()} == labels


def test_every_socket_event_is_documented() -> None:
    """The sockets page has a heading for each event that the hub sends or takes, and no other."""
    tables = [
        node.value
        for node in ast.walk(ast.parse(HANDLERS.read_text(encoding="utf-8")))
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "self._handlers"
    ]
    (table,) = tables
    assert isinstance(table, ast.Dict)
    taken = {str(ast.literal_eval(key)) for key in table.keys if key is not None}
    text = read("sockets.md")
    assert set(re.findall(r"^## To the hub: `(\w+)`$", text, re.MULTILINE)) == taken
    assert set(re.findall(r"^## From the hub: `(\w+)`$", text, re.MULTILINE)) == {EVENT}


def test_every_command_and_option_is_documented() -> None:
    """The command line page has each command with its options; those of serve are the settings."""
    told = sections(read("cli.md"))
    assert set(told) == {f"`logout-hub {name}`" for name in COMMANDS}
    settings = {
        "--" + n.removeprefix("HUB_").lower().replace("_", "-") for n, *_ in describe_settings()
    }
    for name in COMMANDS:
        command = load_command(name)
        below = command.commands.values() if isinstance(command, click.Group) else ()
        parameters = [p for each in (command, *below) for p in each.params]
        options = {p.opts[0] for p in parameters if isinstance(p, click.Option)}
        if name == "serve":
            assert settings <= options
            options -= settings
        assert set(table(told[f"`logout-hub {name}`"], "option")) == options


def test_the_browser_clients_options_are_documented() -> None:
    """The client's page has each option of the client's types, and no other."""
    told = sections(read("browser-client.md"))
    assert set(table(told["Options"], "option")) == client_options()


def test_the_browser_clients_members_are_documented() -> None:
    """The client's page has each member that a client has when it runs, and no other."""
    told = sections(read("browser-client.md"))
    members = {re.sub(r"\(.*", "", row) for row in table(told["What you get"], "member")}
    assert members == client_members()


def test_the_browser_clients_events_and_states_are_documented() -> None:
    """The client's page has each event that the client emits and each state, and no other."""
    told, source = sections(read("browser-client.md"))["Events"], client_source()
    emitted = re.findall(r'(?:callHooks\(|\[)"on(\w+)"', source)
    assert set(table(told, "event")) == set(emitted)
    states = re.search(r'@typedef {("connecting"[^}]+)} Status', source)
    assert states is not None
    assert set(table(told, "state")) == set(re.findall(r'"(\w+)"', states[1]))


def test_the_script_tags_attributes_are_documented() -> None:
    """The client's page has each attribute that the script tag may have, and no other."""
    told = table(sections(read("browser-client.md"))["Without code"], "attribute")
    tag = (CLIENT.parent / "script-tag.js").read_text(encoding="utf-8")
    listed = re.search(r"const given = \[([^]]+)\]", tag)
    assert listed is not None
    kebab = re.sub(r"([A-Z])", r"-\1", listed[1]).lower()
    assert set(told) == {f"data-{name}" for name in re.findall(r"[\w-]+", kebab)}


def test_the_browser_clients_ways_in_are_documented() -> None:
    """The client's page names the functions that make a client, and the module exports them."""
    told = set(re.findall(r"^- `(\w+)\(", sections(read("browser-client.md"))["Ways in"], re.M))
    exported = r"^export (?:function|const) (\w+)"
    assert told == set(re.findall(exported, CLIENT.read_text(encoding="utf-8"), re.M))


def test_every_key_in_redis_is_documented() -> None:
    """The table of keys is the one in the docstring of their names."""
    docstring = ast.get_docstring(ast.parse(NAMES.read_text(encoding="utf-8"))) or ""
    assert set(table(read("redis.md"), "key")) == set(
        re.findall(r"``(hub:{[P0]}:\S+[^…])``", docstring)
    )


def test_every_algorithm_is_documented() -> None:
    """The tokens page lists the algorithms that may be chosen."""
    line = next(line for line in read("tokens.md").splitlines() if "The list is yours" in line)
    assert tuple(re.findall(r"\b(?:[HRPE]S\d{3}|EdDSA)\b", line)) == ALGORITHMS


@pytest.mark.parametrize("row", table(read("tokens.md"), "`iat`").items(), ids=lambda row: row[0])
def test_the_same_second_is_judged_as_the_page_says(row: tuple[str, list[str]]) -> None:
    """The examples of the cut-off rule are what the rule says."""
    iat, (logout_at, answer) = row
    cutoff = Logout(
        id="l",
        user="|ada",
        scope=Scope.ALL,
        reason=Reason.USER,
        at=round(float(logout_at) * SECOND),
    )
    issued = round(float(iat) * SECOND)
    identity = Identity(
        user="|ada", sub="ada", iss="", sid="s", iat=issued, exp=issued + SECOND * 60
    )
    refusal = judge(identity, RevocationState(now=1002 * SECOND, cutoffs=(cutoff,)))
    assert answer.startswith("good" if refusal is None else f"`{refusal.code}`")


def test_relative_links_resolve() -> None:
    """What a page links to or shows in this repository is there, with its heading."""

    def leads_nowhere(page: Path, link: str) -> bool:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return False
        target = page.parent / parts.path if parts.path else page
        return not target.exists() or bool(parts.fragment and parts.fragment not in anchors(target))

    assert not [
        f"{where(page, link)} links to {link}"
        for page in PAGES
        for link in links(page.read_text(encoding="utf-8"))
        if leads_nowhere(page, link)
    ]


def test_every_page_is_in_an_index() -> None:
    """The index of the documentation leads to every page of it."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in links(index.read_text(encoding="utf-8"))}
    assert {page for page in ROOT.glob("docs/**/*.md") if page != index} <= linked


def made_up(text: str) -> Iterator[str]:
    """Return the addresses and the commands of a page's code blocks that the hub has not."""
    text = code_blocks(text)
    for line in text.replace("\\\n", " ").splitlines():
        for address in re.findall(r"https?://[^\s\"'`;]+", line) if "curl " in line else []:
            if not is_route(urlsplit(address).path or "/"):
                yield address
    for call, command in re.findall(r"((?:logout-hub|python -m hub) ([a-z]+))", text):
        if command not in COMMANDS:
            yield call


def test_snippets_name_routes_and_commands_that_exist() -> None:
    """Addresses given to curl and subcommands of logout-hub are ones that the hub has."""
    assert not [
        f"{where(page, what)} names {what}"
        for page in PAGES
        for what in made_up(page.read_text(encoding="utf-8"))
    ]


def test_the_readme_shows_the_two_commands() -> None:
    """The README tells the commands that the Makefile has."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    told = set(re.findall(r"\bmake ([a-z]+)\b", code_blocks(readme)))
    assert {"demo", "test"} <= told <= set(targets)


def test_the_changelog_has_an_unreleased_section() -> None:
    """The changelog says what is new since the last release, or that nothing is."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[?Unreleased\]?$", text, re.MULTILINE)
