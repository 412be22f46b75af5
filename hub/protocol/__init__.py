"""Floor 1: protocols as pure state machines, without I/O and without a clock."""
