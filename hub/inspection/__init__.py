"""``logout-hub inspect``: why a token is taken or refused, and what to change."""
