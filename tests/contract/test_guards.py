"""docs/reliability.md has a row for every guard that tests/machine/test_mutations.py breaks, and for no other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.machine.mutations import GUARDS

TEXT = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()


def test_the_table_of_guards_is_what_is_broken() -> None:
    _, _, section = TEXT.partition("## The guards")
    rows = re.findall(r"^\| ([^|]+?) \| [^|]+ \| [^|]+ \|$", section, re.MULTILINE)
    assert rows[0] == "guard"
    assert rows[1:] == list(GUARDS)
