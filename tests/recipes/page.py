"""The recipes of docs/recipes.md.

A recipe is a `###` section.  The first line of a fenced block says what the block is and of which databases:
`-- tables of PostgreSQL, MariaDB`, `-- postings.sql of Oracle`, `# source.yaml`; without databases it is of all that
the recipe has tables for.  A table under a line that names it, as `stock`:, holds rows; under a line that begins with →
what comes out of all SELECTs.  `: refused` behind a block's name means that the block of text after it is what onhand
says to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from streams.core.mapping.dialects import DIALECTS

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
_KINDS = {dialect.name: dialect.kind for dialect in DIALECTS.values()}
_LABEL = re.compile(r"(?:--|#) (tables|[a-z_.]+\.(?:sql|yaml))(?: of ([A-Za-z, ]+))?(: refused)?")
_NAMED = re.compile(r"(→ )?`([^`]+)`:")

Cells = dict[str, str | None]
"""Column → what stands in the row's cell; None is NULL."""


@dataclass(frozen=True)
class Grid:
    """A table of the page."""

    columns: tuple[str, ...]
    rows: tuple[Cells, ...]


@dataclass
class Recipe:
    """One recipe in one database."""

    title: str
    kind: str
    tables: str = ""
    source: str = ""
    files: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Grid] = field(default_factory=dict)
    outputs: dict[str, Grid] = field(default_factory=dict)
    """File without its ending → what comes out; `exceptions` and `waiting` beside them."""
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    """(file, its text, what is said of it)"""

    def __str__(self) -> str:
        return f"{self.title} ({self.kind})"


def recipes(text: str | None = None) -> list[Recipe]:
    """Every recipe of the page, once for each database it has tables for."""
    found = []
    for section in re.split(r"^### ", text if text is not None else PAGE.read_text(), flags=re.MULTILINE)[1:]:
        title, _, body = re.split(r"^## ", section, maxsplit=1, flags=re.MULTILINE)[0].partition("\n")
        parts = list(_parts(title, body))
        kinds = [kind for part in parts if isinstance(part, Block) and part.name == "tables" for kind in part.kinds]
        assert kinds, f"{title}: a block of `-- tables of …` is missing"
        found += [_recipe(title, kind, parts) for kind in kinds]
    return found


@dataclass(frozen=True)
class Block:
    """A fenced block that says what it is."""

    name: str
    kinds: tuple[str, ...]
    text: str
    refused: str | None


@dataclass(frozen=True)
class Named:
    """A table that a line names."""

    name: str
    out: bool
    grid: Grid


def _recipe(title: str, kind: str, parts: list[Block | Named]) -> Recipe:
    recipe = Recipe(title, kind)
    for part in parts:
        if isinstance(part, Named):
            (recipe.outputs if part.out else recipe.rows)[part.name] = part.grid
        elif part.kinds and kind not in part.kinds:
            continue
        elif part.refused is not None:
            recipe.refused.append((part.name, part.text, part.refused))
        elif part.name == "tables":
            recipe.tables += part.text
        elif part.name == "source.yaml":
            recipe.source += part.text
        else:
            assert part.name not in recipe.files, f"{recipe}: two blocks of {part.name}"
            recipe.files[part.name] = part.text
    assert recipe.files, f"{recipe}: no SELECT"
    assert recipe.rows, f"{recipe}: no rows"
    assert recipe.outputs, f"{recipe}: nothing comes out"
    return recipe


def _parts(title: str, body: str) -> Iterator[Block | Named]:
    lines = iter(body.splitlines())
    label = None
    waiting: tuple[str, tuple[str, ...], str] | None = None
    for line in lines:
        if line.startswith("```"):
            text = "\n".join(iter(lambda: next(lines), "```")) + "\n"
            if waiting is not None:
                assert line == "```text", f"{title}: what is said of a refused block must stand behind it"
                yield Block(*waiting, refused=text)
                waiting = None
                continue
            first = text.partition("\n")[0]
            known = _LABEL.fullmatch(first)
            assert known, f"{title}: a block begins with {first!r}, not with what it is"
            kinds = tuple(_KINDS[name] for name in known[2].split(", ")) if known[2] else ()
            if known[3]:
                waiting = (known[1], kinds, text)
            else:
                yield Block(known[1], kinds, text, refused=None)
        elif line.startswith("|"):
            assert label, f"{title}: a table without a name: {line}"
            yield Named(label[2], bool(label[1]), _grid(line, lines))
            label = None
        elif line.strip():
            label = _NAMED.match(line)
    assert waiting is None, f"{title}: what is said of a refused block is missing"


def _grid(head: str, lines: Iterator[str]) -> Grid:
    columns = tuple(_split(head))
    next(lines)
    rows = []
    for line in iter(lambda: next(lines, ""), ""):
        cells = _split(line)
        assert len(cells) == len(columns), line
        rows.append({column: _cell(cell) for column, cell in zip(columns, cells, strict=True)})
    return Grid(columns, tuple(rows))


def _split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _cell(text: str) -> str | None:
    """Nothing is NULL; a text in backticks stands as it is, with its blanks."""
    if not text:
        return None
    return "" if text == "''" else text.removeprefix("`").removesuffix("`")
