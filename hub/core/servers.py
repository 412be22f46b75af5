"""Parses the address of Redis: one server, the Sentinels of a master, or nodes of a cluster.

==========================================================  =====================================
``redis://…``, ``rediss://…``, ``unix://…``                 one server; read by redis-py alone
``redis+sentinel://[LOGIN@]HOST:PORT,…/MASTER_NAME[/DB]``   the Sentinels of a master
``redis+cluster://[LOGIN@]HOST:PORT,…``                     some nodes of a cluster
==========================================================  =====================================

``rediss+…`` is the same over TLS. The login is for the servers that hold the data; the login for
the Sentinels is in the options ``sentinel_username`` and ``sentinel_password``. All other options
are passed to redis-py, for every connection.
"""

from __future__ import annotations

import enum
import re
from urllib.parse import unquote, urlsplit

import msgspec


class Kind(enum.Enum):
    """How Redis is deployed, and an example of its address."""

    ONE = "redis://host:6379/0"
    SENTINEL = "redis+sentinel://host:26379,host:26379/master-name/0"
    CLUSTER = "redis+cluster://host:6379,host:6379"


KINDS = {"sentinel": Kind.SENTINEL, "cluster": Kind.CLUSTER}
PORTS = {Kind.SENTINEL: 26379, Kind.CLUSTER: 6379}

FORM = re.compile(
    r"rediss?\+\w+://(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#@]+)"
    r"(?:/(?P<path>[^?#]*))?(?:\?(?P<query>[^#]*))?"
)
PATHS = {
    Kind.SENTINEL: re.compile(r"(?P<master>[^/]+)(?:/(?P<db>[0-9]{0,4}))?"),
    Kind.CLUSTER: re.compile(r"(?P<master>)(?P<db>0?)"),
}


class Servers(msgspec.Struct, frozen=True):
    """The servers in an address. Contains passwords, which its ``repr`` does not show.

    ``seeds`` are the plain URLs of the servers that the address names: those of the Sentinels, if
    there are any, not of the servers that hold the data.
    """

    kind: Kind
    seeds: tuple[str, ...]
    master: str = ""
    before: str = ""
    after: str = ""

    def __repr__(self) -> str:
        return f"Servers({self.kind.name}, {len(self.seeds)})"

    def at(self, host: str, port: int) -> str:
        """Return the plain URL of another server that holds data."""
        return f"{self.before}{_join(host, port)}{self.after}"


def kind_of(url: str) -> Kind:
    """Return how the Redis at an address is deployed, by the scheme."""
    kind = url.partition("://")[0].partition("+")[2]
    return KINDS.get(kind, Kind.ONE)


def read_servers(url: str) -> Servers:
    """Return the servers in an address.

    Raises:
        ValueError: if it is malformed; the message is one line and does not repeat it.
    """
    kind = kind_of(url)
    if kind is Kind.ONE:
        return Servers(kind, (url,))
    wrong = ValueError(f"not an address like {kind.value}")
    form = FORM.fullmatch(url)
    path = form and PATHS[kind].fullmatch(form["path"] or "")
    if not form or not path:
        raise wrong
    try:
        places = dict.fromkeys(_place(text, PORTS[kind]) for text in form["hosts"].split(","))
        query, sentinel = _split_options(form["query"] or "")
    except ValueError:
        raise wrong from None
    scheme = url.partition("+")[0]
    options = f"?{query}" if query else ""
    login = "" if form["login"] is None else f"{form['login']}@"
    before, after = f"{scheme}://{login}", f"/{path['db'] or 0}{options}"
    if kind is Kind.SENTINEL:
        name, word = sentinel.get("username", ""), sentinel.get("password", "")
        login, options = f"{name}:{word}@" if name or word else "", f"/{options}"
        seeds = tuple(f"{scheme}://{login}{_join(*place)}{options}" for place in places)
    else:
        seeds = tuple(f"{before}{_join(*place)}{after}" for place in places)
    return Servers(kind, seeds, unquote(path["master"]), before, after)


def _place(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or text.endswith(":") or re.search(r"\s", text):
        raise ValueError("no host")
    return parts.hostname, parts.port or port


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split_options(query: str) -> tuple[str, dict[str, str]]:
    """Return the options for all connections, and the login of the Sentinels."""
    options = [option for option in query.split("&") if option]
    sentinel = [option for option in options if option.startswith("sentinel_")]
    rest = "&".join(option for option in options if option not in sentinel)
    pairs = (option.removeprefix("sentinel_").partition("=") for option in sentinel)
    login = {name: value for name, _, value in pairs}
    if not login.keys() <= {"username", "password"}:
        raise ValueError("no such option")
    return rest, login
