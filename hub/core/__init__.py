"""The rules. No I/O, no clock, no asyncio: time is an argument."""
