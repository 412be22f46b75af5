"""Guards: what an app asks in its own process whether a session is still alive."""
