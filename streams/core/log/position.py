"""Positions in a source database: what is before what, and how far a lane has come.

Two things are kept apart.  A *row position* orders the changes of one log, also across resends: PostgreSQL
(previous commit, lsn), MariaDB and MySQL (binlog number, pos, row); bare `lsn` or GTID go backwards
(facts of Debezium, DESIGN §3).  A *covered position* is text that says up to where all commits are in: it crosses
topics in `LaneProgress.source_position` and is what an audit waits for.

    lsn:32822600            PostgreSQL: all commits at or below this LSN are covered
    binlog:000001:52219     MariaDB, MySQL: all events before this position of this file are covered
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import msgspec

from schemas.errors import InvalidInput

NOWHERE = ""
"""Covered position of a lane that has seen nothing yet; every other one is beyond it."""


class Position(NamedTuple):
    """Where a row change stands in its log; compares as a tuple."""

    major: int
    """PostgreSQL: end of the commit before this transaction.  MariaDB: number of the binlog file."""
    minor: int
    """PostgreSQL: lsn of the change.  MariaDB: pos in the file."""
    row: int = 0
    """MariaDB: row within the event, so that two rows of one statement differ."""


_new = tuple.__new__
"""Makes a NamedTuple in half the time of its own constructor, for what is made once a row."""
_sequence = msgspec.json.Decoder(tuple[str | None, str | None])


def postgres_position(sequence: str) -> Position:
    """From `source.sequence`, `["32786520","32789056"]`; the first is null only before the first commit seen after a
    snapshot and then counts as the second.  Raises ValueError, msgspec.DecodeError."""
    commit, lsn = _sequence.decode(sequence)
    here = int(lsn or 0)
    return _new(Position, (int(commit) if commit is not None else here, here, 0))


def binlog_position(file: str, pos: int, row: int | None) -> Position:
    """From `source.file` (`mysql-bin.000001`), `pos` and `row`.  Raises ValueError."""
    return _new(Position, (binlog_number(file), pos, row or 0))


@lru_cache(64)
def binlog_number(file: str) -> int:
    """`mysql-bin.000001` → 1.  Raises ValueError."""
    return int(file[file.rindex(".") + 1 :])


def covered_lsn(lsn: int) -> str:
    """All PostgreSQL commits at or below `lsn` are covered."""
    return f"lsn:{lsn}"


def covered_binlog(number: int, pos: int) -> str:
    """All binlog events before `pos` of file `number` are covered."""
    return f"binlog:{number:06d}:{pos}"


def parse_covered(text: str) -> tuple[str, int, int]:
    """(kind, major, minor) of a covered position; NOWHERE is ('', 0, 0).  Raises InvalidInput."""
    if text == NOWHERE:
        return "", 0, 0
    kind, _, rest = text.partition(":")
    try:
        if kind == "lsn":
            return kind, int(rest), 0
        if kind == "binlog":
            number, _, pos = rest.partition(":")
            return kind, int(number), int(pos)
    except ValueError:
        pass
    raise InvalidInput(f"source position {text!r} is neither lsn:<number> nor binlog:<number>:<pos>")


def reached(position: str, target: str) -> bool:
    """Has a lane at covered `position` passed `target`?  Raises InvalidInput when the two are of different kinds."""
    have, want = parse_covered(position), parse_covered(target)
    if not have[0] or not want[0]:
        return not want[0]
    if have[0] != want[0]:
        raise InvalidInput(f"source positions {position!r} and {target!r} are of different databases")
    return have[1:] >= want[1:]
