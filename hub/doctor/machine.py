"""The doctor's checks of what a hub needs of its machine: addresses, and its audit log."""

from __future__ import annotations

import asyncio
import errno

from hub.access.audit import check_file
from hub.doctor.finding import Finding
from hub.settings import Settings


async def examine_machine(settings: Settings) -> list[Finding]:
    """Check that a hub could listen and write its audit log here; return what is bad.

    A port that is taken, or a log that is being written, is good: a hub may be running.
    """
    found = [await _examine_address("listener", settings.host, settings.port)]
    if settings.admin_port is not None:
        place = (settings.admin_host, settings.admin_port)
        found.append(await _examine_address("admin listener", *place))
    if settings.audit_file is not None:
        found.append(await asyncio.to_thread(_examine_audit, settings.audit_file))
    return [finding for finding in found if finding is not None]


async def _examine_address(check: str, host: str, port: int) -> Finding | None:
    loop = asyncio.get_running_loop()
    try:
        # Bound as the hub binds it, but not listening, so that a hub may start meanwhile.
        server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        detail = f"cannot listen on {host}, port {port}: {error.strerror or error}"
        return Finding(check, "bad", detail)
    server.close()
    await server.wait_closed()
    return None


def _examine_audit(path: str) -> Finding | None:
    try:
        check_file(path)
    except OSError as error:
        return Finding("audit", "bad", f"HUB_AUDIT_FILE: {error}")
    return None
