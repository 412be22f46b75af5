"""The servers that the hub is measured beside, each a program of its own."""
