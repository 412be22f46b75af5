"""How long tests wait for what must happen: one bound for all, which nothing but a failure meets.

It says nothing of how soon a thing happens. What is promised to happen within a time is held to
that time, by a clock of the test's own.
"""

from __future__ import annotations

PATIENCE = 60.0
"""Seconds that are enough for a process, a browser, a proxy or a client of somebody else's, also
where others keep the machine busy."""
