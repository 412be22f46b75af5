"""Run the hub with pings as often as the environment says, for tests that wait for a ping.

``PING_INTERVAL`` and ``PING_TIMEOUT`` are in seconds. The hub has no setting for them.
"""

from __future__ import annotations

import os

from hub.realtime.engine import EngineServer

_defaults = EngineServer.__init__.__kwdefaults__
assert _defaults is not None
_defaults["ping_interval"] = float(os.environ["PING_INTERVAL"])
_defaults["ping_timeout"] = float(os.environ["PING_TIMEOUT"])

if __name__ == "__main__":
    from hub.cli import main

    main()
