"""Floor 3: HTTP. One file a resource; each handler parses, calls, renders."""
