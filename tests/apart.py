"""A hub in a process of its own, as `logout-hub serve` runs it, to be killed or looked at."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from subprocess import DEVNULL

from tests.commands import Running, run_command
from tests.realtime.raw import eventually
from tests.site import ADMIN, SECRET


@contextlib.asynccontextmanager
async def hub_process(
    port: int,
    is_up: Callable[[], Awaitable[bool]],
    stderr: int = DEVNULL,
    /,
    **environ: str,
) -> AsyncIterator[Running]:
    """Run a hub with the tests' secrets and these settings, from when ``is_up`` says so.

    ``stderr`` is the file that its log lines go to.
    """
    own = {"HUB_JWT_SECRET": SECRET, "HUB_ADMIN_TOKEN": ADMIN, "HUB_PORT": str(port)}
    process = await run_command(["serve"], {**os.environ, **own, **environ}, stderr=stderr)
    try:
        await eventually(is_up)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
