"""Server-sent events, read at once: what a guard must read however the bytes arrive.

https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

import re
from typing import Any


def read_events(stream: str, last_event_id: str = "") -> list[dict[str, Any]]:
    """Return the events of a response, each with the newest id that was named until then."""
    events = []
    data: list[str] = []
    kind = ""
    # Behind the last line end there is an event that was not completed, or nothing.
    for line in re.split("\r\n|\r|\n", stream.removeprefix("\ufeff"))[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                event = {"event": kind or "message", "id": last_event_id, "data": "\n".join(data)}
                events.append(event)
            data, kind = [], ""
        elif field == "data":
            data.append(value)
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            last_event_id = value
    return events
