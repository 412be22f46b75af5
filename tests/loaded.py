"""Loads what commands need into the process that `tests/commands.py` forks them from."""

from __future__ import annotations

import gc
from importlib import import_module

from hub.access.device import load_patterns
from hub.cli import COMMANDS

for name in ("uvloop", "hub.store.redis", *(module for module, _ in COMMANDS.values())):
    import_module(name)
load_patterns()
gc.collect()
gc.freeze()  # or a collection in a fork would copy all of it
