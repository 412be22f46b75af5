"""The log cannot be written: the disk is full, or the collector hangs or died.

The bound: nothing but the lines is lost. A logout that was written is answered with 200 and stands
in the audit log; the hub starts and stops as it always does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from hub.core.audit import verify
from tests.apart import hub_process
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.site import ADMIN


def broken_pipe() -> int:
    """Return the end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full_disk() -> int:
    """Return a file on a full disk (full(4))."""
    return os.open("/dev/full", os.O_WRONLY)


def ready(http: aiohttp.ClientSession, url: str) -> Callable[[], Awaitable[bool]]:
    """Return what tells whether a hub is ready."""

    async def is_up() -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with http.get(f"{url}/readyz") as answer:
                return answer.status == 200
        return False

    return is_up


@pytest.mark.parametrize("unwritable", [broken_pipe, full_disk])
@pytest.mark.parametrize("style", ["text", "json"])
async def test_a_log_that_cannot_be_written_fails_no_logout(
    unwritable: Callable[[], int], style: str, tmp_path: Path
) -> None:
    """Logouts are written and answered, and each is in the audit log, as is the stop."""
    port, file, stderr = free_port(), tmp_path / "audit.log", unwritable()
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        settings = {"HUB_LOG_FORMAT": style, "HUB_AUDIT_FILE": str(file)}
        async with hub_process(port, ready(http, url), stderr, **settings) as process:
            os.close(stderr)
            for user in ("ada", "grace", "lin"):
                body = {"user": user, "reason": "admin"}
                async with http.post(f"{url}/admin/logout", json=body) as answer:
                    assert answer.status == 200, await answer.text()
            process.terminate()
            assert await process.wait() == 0
    lines = file.read_bytes().splitlines(keepends=True)
    assert verify(lines).faults == ()
    events = [json.loads(line)["event"] for line in lines]
    assert events == ["start", *["logout", "admin"] * 3, "stop"]


async def test_a_log_that_nobody_reads_holds_nobody_up() -> None:
    """While a collector hangs, lines are lost; afterwards a line says how many."""
    port, (reading, writing) = free_port(), os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 16384)
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with aiohttp.ClientSession(headers=headers) as http:

        async def log_out() -> None:
            async with (
                asyncio.timeout(PATIENCE),
                http.post(f"{url}/admin/logout", json={"user": "ada", "reason": "admin"}) as answer,
            ):
                assert answer.status == 200, await answer.text()

        async with hub_process(
            port, ready(http, url), writing, HUB_LOG_FORMAT="json", HUB_LIMIT_ADMIN="off"
        ) as process:
            os.close(writing)
            for _ in range(100):
                await log_out()
            os.set_blocking(reading, False)
            first = os.read(reading, 65536)
            await log_out()
            second = os.read(reading, 65536)
            process.terminate()
            assert await process.wait() == 0
    os.close(reading)
    kept = [json.loads(line)["event"] for line in first.splitlines() if line.endswith(b"}")]
    assert 5 < kept.count("logout") < 100
    later = [json.loads(line) for line in second.splitlines()]
    assert later[0]["event"].startswith("log lines were lost")
    assert later[0]["n"] >= 100 - kept.count("logout")
    assert "logout" in [line["event"] for line in later]
