"""The first steps of the README, as they stand there."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

from tests.conftest import lacking
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.recipes.pages import DOCS, blocks

COMMANDS = Path(sys.executable).parent


async def test_the_second_block_works_in_a_second_terminal(tmp_path: Path) -> None:
    """Two shells that share nothing but the folder; the last question says that it is over."""
    for tool in ("curl", "openssl"):
        if shutil.which(tool) is None:
            lacking(tool)
    shells = [block for block in blocks(str(DOCS.parent / "README.md"), "sh") if "hub.env" in block]
    assert len(shells) == 2
    port = str(free_port())
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    clean["PATH"] = f"{COMMANDS}:{clean['PATH']}"

    async def shell(text: str) -> asyncio.subprocess.Process:
        text = text.replace("pip install .", "true").replace("8080", port)
        given = ["sh", "-ec", text.replace("logout-hub serve", "exec logout-hub serve")]
        return await asyncio.create_subprocess_exec(
            *given, cwd=tmp_path, env=clean, stdout=-1, stderr=-2
        )

    first = await shell(shells[0])
    try:
        assert first.stdout is not None
        async with asyncio.timeout(PATIENCE):
            async for line in first.stdout:
                if b"logout-hub on" in line:
                    break
            second = await shell(shells[1])
            out, _ = await second.communicate()
    finally:
        first.terminate()
        await first.wait()
    assert second.returncode == 0
    assert b'"sid"' in out
    assert b"token_revoked" in out[out.rindex(b"{") :]
