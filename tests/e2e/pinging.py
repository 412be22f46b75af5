"""Run the hub with pings as often as the environment says, for tests that wait for a ping.

``PING_INTERVAL`` and ``PING_TIMEOUT`` are in seconds. The hub has no setting for them.
"""

from __future__ import annotations

import os
from functools import partial

import hub.assembly
from hub.protocol.engineio import Config

_config = partial(
    Config,
    ping_interval=float(os.environ["PING_INTERVAL"]),
    ping_timeout=float(os.environ["PING_TIMEOUT"]),
)
vars(hub.assembly)["Config"] = _config

if __name__ == "__main__":
    from hub.cli import main

    main()
