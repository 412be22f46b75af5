"""What a command of `tests/commands.py` need not load, as the process it is forked from has it."""

from __future__ import annotations

import gc
from importlib import import_module

import uvloop

import hub.store.redis
from hub.access.device import load_patterns
from hub.cli import COMMANDS

__all__ = ["hub", "uvloop"]

for module, _ in COMMANDS.values():
    import_module(module)
load_patterns()
gc.collect()
gc.freeze()  # a collection in a fork would copy all of it
