"""A changed mapping, deployed: the switch in the source log, and the snapshot of the tables it has columns of anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streams.connect.apply import Report
from streams.connect.control import send_control
from streams.connect.folder import Source
from streams.connect.mapping_check import lane_memo
from streams.connect.operations import incremental
from streams.core.lane.preparing import needs_reading
from streams.core.log.control import Action, Control
from streams.core.mapping.mapping import load_mapping
from streams.core.mapping.text import read_text


def switch_mapping(bootstrap: str, source: Source, secrets_dirs: Sequence[Path], report: Report) -> None:
    """Tell a lane that works by another mapping that the folder's counts from here on.

    Columns that it never stored are read by an incremental snapshot; until that is over the mapping before goes on
    serving.  A second call asks again for what is not read yet.  Raises EnvironmentFault, InvalidInput.
    """
    if not any(source.folder.glob("*.sql")):
        return
    mapping, memo = load_mapping(source.folder), lane_memo(bootstrap, source.name)
    if memo is None:
        return  # it begins with what the folder holds
    waits = memo.preparing
    if waits is not None and waits.fingerprint == mapping.fingerprint:
        lacking: Sequence[str] = waits.unread
    elif waits is None and memo.mapping == mapping.fingerprint:
        return
    else:
        lacking = needs_reading(mapping, memo) if memo.complete else ()
        switch = Control(
            action=Action.MAPPING,
            fingerprint=mapping.fingerprint.hex(),
            why="onhand source apply",
            text=read_text(source.folder),
        )
        offset = send_control(bootstrap, source.name, switch)
        report(f"{source.name}: the mapping has changed; it counts from {source.topic} offset {offset} on")
    if not lacking:
        return
    tables = ", ".join(lacking)
    if not source.writes:
        report(
            f"{source.name}: it needs columns of {tables} that were never stored, and no signal can be written: the "
            f"mapping before serves until you run `onhand source resnapshot {source.name}`"
        )
        return
    incremental(source, lacking, secrets_dirs)
    report(f"{source.name}: tables read anew for their columns: {tables}; until then the mapping before serves")
