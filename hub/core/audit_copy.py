"""Holds the files of an audit log against the lines that were copied elsewhere as they came.

A chain shows by itself neither that lines were taken off its end nor that it was written anew from
some line on; a copy shows both. A replica begins another chain, again at 1, when it starts without
a file; so what is copied of one replica may be several chains, of which the files are one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from hub.core.audit import MOST_FAULTS, Entry, Fault, read_entry

Chain: TypeAlias = dict[int, str]
"""The hash of each entry of one chain, by its number."""


class Compared(msgspec.Struct, frozen=True):
    """How many copied entries the files have, how many of theirs have no copy, and the faults.

    ``others`` were copied of the same replicas, but are of chains that the files do not hold.
    """

    copied: int
    uncopied: int
    others: int
    faults: tuple[Fault, ...]


class Copies:
    """The copied lines, of any replicas; given the entries of the files, one by one."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._chains: dict[str, list[Chain]] = {}
        for line in lines:
            if (entry := read_entry(line)) is not None:
                self._add(entry)
        self._seen: dict[str, dict[int, tuple[str, int]]] = {}
        """By replica and number: the hash of an entry of the files, and its line."""
        self._uncopied = 0

    def _add(self, entry: Entry) -> None:
        chains = self._chains.setdefault(entry.replica, [{}])
        known = chains[-1].get(entry.seq)
        if known == entry.hash:
            return  # copied twice
        if chains[-1] and (known is not None or entry.seq < next(reversed(chains[-1]))):
            chains.append({})
        chains[-1][entry.seq] = entry.hash

    def take(self, number: int, entry: Entry) -> None:
        """Take note of an entry of the files, at line ``number``."""
        if any(entry.seq in chain for chain in self._chains.get(entry.replica, ())):
            self._seen.setdefault(entry.replica, {})[entry.seq] = (entry.hash, number)
        else:
            self._uncopied += 1

    def compare(self, end: int) -> Compared:
        """Return what came of it; ``end`` is the line behind the last of the files."""
        faults: list[Fault] = []
        copied = others = 0
        for replica, seen in self._seen.items():
            chain = _most_alike(self._chains[replica], {seq: own for seq, (own, _) in seen.items()})
            others += sum(map(len, self._chains[replica])) - len(chain)
            first = min(seen)
            for seq, known in chain.items():
                if seq < first:
                    continue  # in a file that was rotated away
                if seq not in seen:
                    text = f"entry {seq} of {replica} was copied, and is not in the files"
                    faults.append(Fault(end, "removed", text))
                    continue
                own, number = seen[seq]
                if own == known:
                    copied += 1
                else:
                    text = f"entry {seq} of {replica} is not the one that was copied"
                    faults.append(Fault(number, "changed", text))
        faults = sorted(faults[:MOST_FAULTS], key=lambda fault: fault.line)
        return Compared(copied, self._uncopied, others, tuple(faults))


def _most_alike(chains: list[Chain], seen: Chain) -> Chain:
    """Return the chain that shares most entries with the files, of equals the newest."""

    def alike(chain: Chain) -> int:
        return sum(chain.get(seq) == known for seq, known in seen.items())

    return max(reversed(chains), key=alike)
