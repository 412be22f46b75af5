"""Compares the files of an audit log with lines that were copied elsewhere when they were written.

A chain by itself shows neither that lines were removed from its end nor that it was rewritten from
some line on; a copy shows both. A replica that starts without a file begins a new chain, again at
1, so the copy of one replica may hold several chains, only one of which is in the files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from hub.core.audit import MAX_FAULTS, Entry, Fault, read_entry

Chain: TypeAlias = dict[int, str]
"""The hash of each entry of one chain, by its number."""


class Compared(msgspec.Struct, frozen=True):
    """The result of a comparison.

    ``copied`` counts the entries of the files that have an equal copy, ``uncopied`` those without
    a copy, and ``others`` the copies from the same replicas that belong to chains not in the files.
    """

    copied: int
    uncopied: int
    others: int
    faults: tuple[Fault, ...]


class Copies:
    """The copied lines of any replicas; pass each entry of the files to `take`, then `compare`."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._chains: dict[str, list[Chain]] = {}
        for line in lines:
            if (entry := read_entry(line)) is not None:
                self._add(entry)
        self._seen: dict[str, dict[int, tuple[str, int]]] = {}
        """By replica and number: the hash of an entry in the files, and its line."""
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
        """Record an entry of the files, at line ``number``."""
        if any(entry.seq in chain for chain in self._chains.get(entry.replica, ())):
            self._seen.setdefault(entry.replica, {})[entry.seq] = (entry.hash, number)
        else:
            self._uncopied += 1

    def compare(self, end: int) -> Compared:
        """Return the result; ``end`` is the number of the line after the last of the files."""
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
        faults = sorted(faults[:MAX_FAULTS], key=lambda fault: fault.line)
        return Compared(copied, self._uncopied, others, tuple(faults))


def _most_alike(chains: list[Chain], seen: Chain) -> Chain:
    """Return the chain that shares the most entries with the files; the newest of equals."""

    def alike(chain: Chain) -> int:
        return sum(chain.get(seq) == known for seq, known in seen.items())

    return max(reversed(chains), key=alike)
