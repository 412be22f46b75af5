"""``logout-hub streams``: sets up event streams at transmitters, and shows their state."""
