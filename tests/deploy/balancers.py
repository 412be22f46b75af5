"""nginx and HAProxy with the files of deploy/, each in a folder and a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import aiohttp

from tests.conftest import lacking
from tests.deploy.certificate import write_certificate
from tests.deploy.hubs import Hubs
from tests.patience import PATIENCE
from tests.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"))
NOBODY = 65534

Changes: TypeAlias = Mapping[str, str]
NONE: Changes = {}

TEMPORARY = "".join(
    f"{kind}_temp_path {kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


@dataclass(frozen=True)
class Front:
    """A balancer that runs, as its clients see it."""

    name: str
    port: int
    folder: Path
    hubs: Hubs

    @property
    def certificate(self) -> Path:
        """What its clients must trust."""
        return self.folder / "site.crt"

    @property
    def log(self) -> str:
        """What it wrote to its standard output and error so far."""
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """TLS for clients that know its certificate."""
        return ssl.create_default_context(cafile=self.certificate)

    @contextlib.asynccontextmanager
    async def client(self, address: str = "127.0.0.1") -> AsyncIterator[aiohttp.ClientSession]:
        """Make an HTTP client at an address of this machine; it keeps no cookies."""
        async with aiohttp.ClientSession(
            self.url,
            connector=aiohttp.TCPConnector(ssl=self.trust, local_addr=(address, 0)),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
        ) as session:
            yield session
        # TLS needs a moment to close, and unclosed sockets are errors here.
        await asyncio.sleep(0.1)


def changed(file: str, changes: Changes) -> str:
    """Return a file of deploy/ with some places changed, each of which must be there."""
    text = (DEPLOY / file).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{file} has no {old!r}"
        text = text.replace(old, new)
    return text


def replicas_of(hubs: Hubs) -> dict[str, str]:
    """Return the changes that put the test's replicas into a file."""
    return {
        "10.0.0.11:8080": f"127.0.0.1:{hubs.a.port}",
        "10.0.0.12:8080": f"127.0.0.1:{hubs.b.port}",
    }


@contextlib.contextmanager
def run_nginx(
    hubs: Hubs, changes: Changes = NONE, *, file: str = "nginx.conf", site: str = "hub"
) -> Iterator[Front]:
    """Run nginx with a file of deploy/, changed as `changed` does; ``site`` is its certificate."""
    with _folder() as folder:
        port = free_port()
        text = changed(
            file,
            {
                **replicas_of(hubs),
                "listen 443 ": f"listen 127.0.0.1:{port} ",
                f"/etc/nginx/{site}.": f"{folder}/site.",
                "/var/log/nginx/": "",
                "http {\n": "http {\n" + TEMPORARY,
                **changes,
            },
        )
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        where = ["-p", f"{folder}/", "-e", "stderr", "-c", "nginx.conf"]
        command = ["nginx", *where, "-g", "daemon off; pid nginx.pid;"]
        with _running(command, folder, port):
            yield Front("nginx", port, folder, hubs)


@contextlib.contextmanager
def run_haproxy(hubs: Hubs, changes: Changes = NONE) -> Iterator[Front]:
    """Run HAProxy with the file of deploy/, changed as `changed` does."""
    with _folder() as folder:
        port = free_port()
        text = changed(
            "haproxy.cfg",
            {
                **replicas_of(hubs),
                "bind :443 ": f"bind 127.0.0.1:{port} ",
                "/etc/haproxy/hub.pem": f"{folder}/site.pem",
                # The test is nobody already, and a small machine may not open as many files.
                "    user haproxy\n    group haproxy\n": "",
                "maxconn 20000": "maxconn 1000",
                **changes,
            },
        )
        (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
        with _running(["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], folder, port):
            yield Front("haproxy", port, folder, hubs)


RUN = {"nginx": run_nginx, "haproxy": run_haproxy}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="logout-hub-") as name:
        folder = Path(name)
        write_certificate(folder)
        yield folder


@contextlib.contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    binary = shutil.which(command[0], path=PATH)
    if binary is None:
        lacking(command[0])
    assert binary is not None
    root = os.geteuid() == 0
    if root:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, *command[1:]],
            stdout=log,
            stderr=log,
            user=NOBODY if root else None,
            group=NOBODY if root else None,
            extra_groups=[] if root else None,
            start_new_session=True,
        )
    try:
        _wait_until_listening(process, folder, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            # Its workers too: they are in the session that was begun for it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)


def _wait_until_listening(process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    listening = False
    while not listening:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            listening = True
        failed = process.poll() is not None or time.monotonic() > deadline
        assert not failed, (folder / "log").read_text(encoding="utf-8")
        time.sleep(0.05)
