"""``logout-hub inspect``: why a token is accepted or refused, and what to change."""
