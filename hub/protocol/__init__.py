"""Protocols as pure state machines, without I/O and without a clock."""
