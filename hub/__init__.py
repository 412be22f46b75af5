"""logout-hub: a logout that is true everywhere, at once."""
