"""Writes the vectors anew: ``python -m tests.vectors``."""

from __future__ import annotations

from tests.vectors.files import FILES, render

if __name__ == "__main__":
    for path, make in FILES.items():
        path.write_text(render(make()), encoding="ascii")
