"""Proxies with the files of deploy/, each in a folder and a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
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
BESIDE = str(Path(sys.executable).parent)
PATH = os.pathsep.join((BESIDE, os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"))
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
def run_haproxy(
    hubs: Hubs, changes: Changes = NONE, *, file: str = "haproxy.cfg", site: str = "hub"
) -> Iterator[Front]:
    """Run HAProxy with a file of deploy/, as `run_nginx` does."""
    with _folder() as folder:
        port = free_port()
        text = changed(
            file,
            {
                **replicas_of(hubs),
                "bind :443 ": f"bind 127.0.0.1:{port} ",
                f"/etc/haproxy/{site}.pem": f"{folder}/site.pem",
                # The test is nobody already, and a small machine may not open as many files.
                "    user haproxy\n    group haproxy\n": "",
                "maxconn 20000": "maxconn 1000",
                **changes,
            },
        )
        (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
        with _running(["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], folder, port):
            yield Front("haproxy", port, folder, hubs)


@contextlib.contextmanager
def run_haproxy_verify(hubs: Hubs, changes: Changes = NONE) -> Iterator[Front]:
    """Run HAProxy in front of an app, with the script that asks the hub."""
    inside = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="logout-hub-") as name:
        script = Path(name) / "haproxy-verify.lua"
        script.write_text(changed(script.name, {"127.0.0.1:8181": inside}), encoding="utf-8")
        script.parent.chmod(0o755)
        changes = {
            f"/etc/haproxy/{script.name}": str(script),
            "127.0.0.1:8181": inside,
            **changes,
        }
        with run_haproxy(hubs, changes, file="haproxy-verify.cfg", site="app") as front:
            yield front


@contextlib.contextmanager
def run_caddy_verify(hubs: Hubs, changes: Changes = NONE) -> Iterator[Front]:
    """Run Caddy in front of an app."""
    with _folder() as folder:
        port = free_port()
        text = changed(
            "caddy-verify.caddyfile",
            {
                **replicas_of(hubs),
                "https://app.example {": f"https://:{port} {{\n\tbind 127.0.0.1",
                "/etc/caddy/app.": f"{folder}/site.",
                # It would listen on port 80 as well, and write below the home folder.
                "admin off": "admin off\n\tauto_https disable_redirects\n\tpersist_config off",
                **changes,
            },
        )
        (folder / "Caddyfile").write_text(text, encoding="utf-8")
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]
        with _running(command, folder, port):
            yield Front("caddy", port, folder, hubs)


@contextlib.contextmanager
def run_envoy_verify(hubs: Hubs, changes: Changes = NONE) -> Iterator[Front]:
    """Run Envoy in front of an app."""
    with _folder() as folder:
        port = free_port()
        parts = {
            f"address: {host}, port_value: {old}": f"address: 127.0.0.1, port_value: {new}"
            for host, old, new in (
                ("0.0.0.0", 443, port),
                ("10.0.0.11", 8080, hubs.a.port),
                ("10.0.0.12", 8080, hubs.b.port),
            )
        }
        changes = {**parts, "/etc/envoy/app.": f"{folder}/site.", **changes}
        text = changed("envoy-verify.yaml", changes)
        (folder / "envoy.yaml").write_text(text, encoding="utf-8")
        quiet = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"]
        with _running(["envoy", "-c", f"{folder}/envoy.yaml", *quiet], folder, port):
            yield Front("envoy", port, folder, hubs)


RUN = {"nginx": run_nginx, "haproxy": run_haproxy}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="logout-hub-") as name:
        folder = Path(name)
        write_certificate(folder)
        yield folder


def _find(program: str) -> str | None:
    # The wheel of Envoy has a script of this name, which whoever runs the proxy may not read.
    package = importlib.util.find_spec(program)
    if package is not None and package.submodule_search_locations:
        return shutil.which(program, path=f"{package.submodule_search_locations[0]}/_bin")
    return shutil.which(program, path=PATH)


@contextlib.contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    binary = _find(command[0])
    if binary is None:
        lacking(command[0])
    assert binary is not None
    # What is installed with the tests need not be readable by others.
    root = os.geteuid() == 0 and not binary.startswith(sys.prefix)
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
