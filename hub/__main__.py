"""``python -m hub``: the same as ``logout-hub``."""

from hub.cli import main

main()
