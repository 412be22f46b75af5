"""Floor 1: the rules. No I/O, no clock, no asyncio: time is an argument."""
