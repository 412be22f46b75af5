"""Ask this container's hub whether it lives: exits with 0 when it answers 200, else with 1."""

import os
import sys
import urllib.request

port = os.environ.get("HUB_PORT") or os.environ.get("PORT") or "8080"
# Not through a proxy that the environment names.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=4) as answer:
        sys.exit(answer.status != 200)
except OSError as error:
    sys.exit(f"no answer of /healthz: {error}")
