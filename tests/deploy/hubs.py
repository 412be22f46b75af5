"""Replicas of the hub in processes of their own, which a test may kill and start again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import urllib.request
from collections.abc import Iterator

from tests.commands import Command
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.site import ADMIN, SECRET


class Hub:
    """One replica, as `logout-hub serve` runs it behind a balancer on this machine."""

    def __init__(self, name: str, redis_url: str) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._redis_url = redis_url
        self._process: Command | None = None

    def start(self) -> None:
        """Start the process, or let it go on if it runs."""
        if self._process is not None and self._process.exitcode is None:
            self.signal(signal.SIGCONT)
            return
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name != "PORT" and not name.startswith("HUB_")
        }
        environ = {
            **inherited,
            "HUB_REDIS_URL": self._redis_url,
            "HUB_JWT_SECRET": SECRET,
            "HUB_ADMIN_TOKEN": ADMIN,
            "HUB_PORT": str(self.port),
            "HUB_REPLICA": self.name,
            "HUB_TRUSTED_PROXIES": "127.0.0.1",
            "HUB_ALLOWED_ORIGINS": "https://app.example",
            "HUB_VERIFY_REDIRECTS": "web=https://login.example/",
        }
        self._process = Command(["serve"], environ)
        self._process.start()

    def is_ready(self) -> bool:
        """Say whether the replica can do its work."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=PATIENCE) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def wait_until_ready(self) -> None:
        """Wait until the replica can do its work."""
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            assert time.monotonic() < deadline, f"replica {self.name} did not turn ready"
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Return the exit code of a process that ends within ``seconds``."""
        assert self._process is not None
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, f"replica {self.name} did not end"
        self._process = None
        return code

    def kill(self) -> None:
        """End the process at once, if it runs."""
        if self._process is not None:
            self._process.kill()
            self.wait(PATIENCE)


class Hubs:
    """The two replicas ``a`` and ``b``."""

    def __init__(self, a: Hub, b: Hub) -> None:
        self.a, self.b = a, b

    def heal(self) -> None:
        """Start what does not run, and wait until both are ready."""
        for hub in (self.a, self.b):
            hub.start()
        for hub in (self.a, self.b):
            hub.wait_until_ready()


@contextlib.contextmanager
def two_hubs(redis_url: str) -> Iterator[Hubs]:
    """Keep two replicas on one Redis for the length of the context; ``heal`` starts them."""
    hubs = Hubs(Hub("a", redis_url), Hub("b", redis_url))
    try:
        yield hubs
    finally:
        hubs.a.kill()
        hubs.b.kill()
