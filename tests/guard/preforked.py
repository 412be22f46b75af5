"""A WSGI server that loads its app and starts the guard, and forks its workers then.

As ``gunicorn --preload`` does. It says which process answers, or what time it is. Each worker
listens on a port of its own, so that a test can choose.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from hub.guard import SyncGuard
from hub.guard.wsgi import GuardMiddleware


class Quiet(WSGIRequestHandler):
    """Says nothing about requests."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main(ports: list[int]) -> None:
    """Serve until it is told to stop."""
    guard = SyncGuard.from_environ()
    guard.start()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        told = guard.now() if environ["PATH_INFO"] == "/now" else os.getpid()
        return [str(told).encode()]

    guarded = GuardMiddleware(app, guard, exempt=["/now"])
    workers = []
    for port in ports:
        worker = os.fork()
        if not worker:
            make_server("127.0.0.1", port, guarded, handler_class=Quiet).serve_forever()
        workers.append(worker)

    def stop(*_: Any) -> None:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    for worker in workers:
        os.waitpid(worker, 0)


if __name__ == "__main__":
    main([int(port) for port in sys.argv[1:]])
