"""Floor 2: where state lives. One port, `hub.store.base.Store`, and what implements it."""
