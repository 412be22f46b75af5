"""Measures what other users notice while somebody floods the hub; see ``docs/attacks.md``."""
