"""What the others notice while somebody floods the hub; see ``docs/attacks.md``."""
