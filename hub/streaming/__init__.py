"""``logout-hub streams``: sets up event streams at transmitters, and shows what came of them."""
