"""The mutants match the source: the text that each of them changes is there exactly once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.cluster import ROOT
from tests.faults.mutants import apply, mutate
from tests.faults.mutations import MISREADERS, MUTANTS, Edit, Misreader, Mutant


@pytest.mark.parametrize("mutant", [*MUTANTS, *MISREADERS], ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_made(mutant: Mutant | Misreader, tmp_path: Path) -> None:
    """Each edit finds its text exactly once, and leaves valid Python."""
    edits = (*(mutant.beside if isinstance(mutant, Mutant) else ()), *mutant.edits)
    for edit in edits:
        copy = tmp_path / "hub" / edit.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "hub" / edit.file, copy)
    apply(tmp_path, edits)
    for edit in mutant.edits:
        text = (tmp_path / "hub" / edit.file).read_text(encoding="utf-8")
        assert edit.new in text
        if edit.file.endswith(".py"):
            compile(text, edit.file, "exec")


def test_an_edit_that_finds_nothing_fails(tmp_path: Path) -> None:
    """A mutant whose text has moved is no mutant."""
    with pytest.raises(ValueError, match="exactly once"):
        mutate(tmp_path, [Edit("core/model.py", "no such text", "")])
