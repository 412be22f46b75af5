"""Check the health of this container's hub: exits with 0 if it answers 200, else with 1."""

import os
import sys
import urllib.request

port = os.environ.get("HUB_PORT") or os.environ.get("PORT") or "8080"
# Ignore proxies from the environment.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=4) as answer:
        sys.exit(answer.status != 200)
except OSError as error:
    sys.exit(f"no answer of /healthz: {error}")
