"""docs/exceptions.md names every code that the program can raise."""

from __future__ import annotations

import re
from pathlib import Path

from onhand.watch.troubles import CODES

ROOT = Path(__file__).parents[2]
CODE = re.compile(
    r'code="([a-z-]+)"'
    r'|(?:(?:RowError|PoisonRecord|Note)\(\s*|faults\.open\(\s*|open\(\s*|\["code"\] = )"([a-z]+(?:-[a-z]+)+)"'
    r'|^[A-Z_]+ = "((?:channel|poison|contract)-[a-z-]+)"|^ {4}"([a-z]+(?:-[a-z]+)+)": "[a-z]',
    re.MULTILINE,
)


def test_every_code_is_in_the_catalogue() -> None:
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "exceptions.md").read_text(), re.MULTILINE))
    used = {code: Path("onhand/watch/troubles.py") for code in CODES.values()}
    for folder in ("streams", "sinks", "schemas"):
        for path in (ROOT / folder).rglob("*.py"):
            for match in CODE.finditer(path.read_text()):
                used[next(group for group in match.groups() if group)] = path.relative_to(ROOT)
    assert len(used) > 15, "the pattern no longer finds them"
    assert {code: str(path) for code, path in used.items() if code not in documented} == {}
