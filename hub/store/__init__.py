"""Where state is kept. One port, `hub.store.base.Store`, and its implementations."""
