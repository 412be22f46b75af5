"""Floor 3: live sockets."""
