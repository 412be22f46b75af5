"""What fuzzers put into packets and bodies: values of JSON, texts that look right, and neither."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
DEEP = st.integers(1, 5000).map(lambda depth: "[" * depth + "]" * depth)
NAMES = st.sampled_from(
    ["logout", "refresh", "connect", "disconnect", "connect_error", "*", "message", "active", ""]
)
MEMBERS = st.sampled_from(
    ["scope", "sid", "reason", "message", "idempotencyKey", "token", "device", "user", "users",
     "everyone", "iss", "spread_seconds", "sub_id"]
)  # fmt: skip
GUESSES: st.SearchStrategy[Any] = st.sampled_from(
    ["all", "others", "session", "user", "admin", "policy", "s1", "ada", True, False, None, 0, -1,
     1e400, "", "x" * 300, [], {}, ["ada"], [""], "\ud800", "\x00"]
)  # fmt: skip


def dump(value: object) -> str:
    """Return JSON, with what Python takes for it."""
    return json.dumps(value)


def requests() -> st.SearchStrategy[str]:
    """Bodies that look like those of a logout, some of them with repeated members."""
    member = st.tuples(MEMBERS, GUESSES | JSON)
    return st.lists(member, max_size=4).map(
        lambda members: (
            "{" + ",".join(f"{dump(name)}:{dump(value)}" for name, value in members) + "}"
        )
    )


def documents() -> st.SearchStrategy[str]:
    """JSON, what looks like it, and what does not."""
    return st.one_of(requests(), JSON.map(dump), DEEP, st.text(max_size=40))


COMMON = ["40", "40{}", "41", "41/x,", "3", "1", "2probe", "5", '42["logout"]', "430[]", "40/x,"]


def packets() -> st.SearchStrategy[str]:
    """Packets, the common ones often, so that they meet."""
    return st.sampled_from(COMMON) | made_packets()


@st.composite
def made_packets(draw: st.DrawFn) -> str:
    """Packets of Engine.IO and Socket.IO, proper and not."""
    kind = draw(
        st.sampled_from(["4", "4", "4", "4", "4", "0", "1", "2", "3", "5", "6", "b", "9", ""])
    )
    if kind != "4":
        return kind + draw(st.sampled_from(["", "", "probe", "x"]))
    inner = draw(
        st.sampled_from(["0", "0", "1", "2", "2", "2", "3", "4", "5", "6", "7", "", "51-"])
    )
    namespace = draw(st.sampled_from(["", "", "", "", "/,", "/x,", "/" + "x" * 40 + ",", "/"]))
    number = draw(st.sampled_from(["", "", "0", "1", "12345678901234567890", "1" * 110, "-1", "٣"]))
    if inner == "2" and draw(st.booleans()):
        payload = f"[{dump(draw(NAMES))},{draw(documents())}]"
    else:
        payload = draw(documents() | st.just(""))
    return f"4{inner}{namespace}{number}{payload}"
