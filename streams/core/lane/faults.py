"""Exceptions of a lane with their lifecycle: opened, counted again, closed; kept in the state, told on exception.v1.

An exception's id is made of stage, source, code and subject, so the same trouble is the same record however often it
comes.  A closed one is told once and forgotten in a later unit.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from schemas.records import ExceptionRecord, ExceptionStatus
from streams.core.lane.owed import Dirty
from streams.core.unit import InputRecord, View

RAW_BYTES = 64 << 10
"""Bytes of a raw record that an exception shows at most."""
STAGE = "lane"

ACTIONS = {
    "poison-record": "mend what writes them, change the row they meant at the source; then `exceptions close ID`",
    "control-unreadable": "write the control record again with onhand, then `onhand exceptions close ID`",
    "column-absent": "mend the mapping and apply it; or put the column back, then `onhand source resnapshot`",
    "column-retyped": "`onhand source inspect`, mend the mapping if need be, and apply it",
    "toast-without-previous": "update the row at the source so that all columns are sent, or resnapshot the table",
    "lookup-missing": "insert the missing rows at the source, or use LEFT JOIN if their absence has a meaning",
    "lookup-ambiguous": "make the key unique at the source: it heals by itself; or declare a key that is unique",
    "lookup-too-many": "let the rows of that table drive: FROM it, and JOIN the other table on its key",
    "status-unmapped": "correct the code at the source, or add it under `statuses` in source.yaml and apply the source",
    "shipment-without-order": "give the shipment an order at the source, or leave it out with WHERE",
    "mapping-not-applied": "run `onhand source apply` for this source, or put the old files back and restart its lane",
    "mapping-refused": "check the folder with the lane's own release (`onhand source check`), then apply it again",
    "mapping-prepares": "run `onhand source resnapshot NAME --incremental TABLE` for each of these tables",
    "snapshot-required": "run `onhand source resnapshot` for this source",
    "snapshot-incomplete": "grant SELECT and include the table, then resnapshot; or `onhand source release` as it is",
    "sweep-waits": "check the table; `onhand source release` withdraws the rows that are no longer there",
    "position-space-changed": "run `onhand source resnapshot` for this source",
}
ROW_ACTION = "mend the row at the source (its next change heals it), or `onhand exceptions retry ID`"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ExceptionRecord)


def exception_id(source: str, code: str, subject: str) -> str:
    """`lane/<source>/<code>/<subject>`."""
    return f"{STAGE}/{source}/{code}/{subject}"


def load_exception(state: View, identity: str) -> ExceptionRecord | None:
    """As the state has it; its version is 0 until it is rendered."""
    stored = state.get(b"x" + identity.encode())
    return None if stored is None else _decoder.decode(stored)


class Target(msgspec.Struct, array_like=True):
    """What an exception keeps back, for retry and close."""

    row: bytes = b""
    """Row reference; empty: none."""
    queue: bytes = b""
    """Queue of waiting records; empty: none."""
    skus: tuple[bytes, ...] = ()
    """Skus that are uncertain because of the queue."""
    unknown: bool = False
    """Nobody knows which skus: the whole source is uncertain."""


_target_decoder = msgspec.msgpack.Decoder(Target)


def load_target(state: View, identity: str) -> Target | None:
    """What an open exception keeps back; None: nothing."""
    stored = state.get(b"k" + identity.encode())
    return None if stored is None else _target_decoder.decode(stored)


class Faults:
    """Opens and closes exceptions within one unit."""

    def __init__(self, source: str, state: View, dirty: Dirty, now_us: int) -> None:
        self._source, self._state, self._dirty, self._now_us = source, state, dirty, now_us
        self.closed: list[str] = []
        """Closed in this unit: to be forgotten in a later one."""

    def open(
        self,
        code: str,
        subject: str,
        detail: str,
        record: InputRecord | None = None,
        *,
        again: bool = True,
        target: Target | None = None,
    ) -> str:
        """Open it, or count it once more; with `again` False an open one is left alone.  Its id."""
        identity = exception_id(self._source, code, subject)
        known = load_exception(self._state, identity)
        if known is not None and known.status is ExceptionStatus.OPEN:
            if not again and known.detail == detail:
                return identity
            count, opened_us = known.count + 1, known.opened_us
        else:
            count, opened_us = 1, self._now_us
        if target is not None:
            self._state.put(b"k" + identity.encode(), _encoder.encode(target))
        raw = None if record is None or record.value is None else record.value[:RAW_BYTES]
        self._put(
            ExceptionRecord(
                id=identity,
                version=0,
                stage=STAGE,
                source=self._source,
                code=code,
                status=ExceptionStatus.OPEN,
                subject=subject,
                detail=detail,
                action=ACTIONS.get(code, ROW_ACTION),
                topic=None if record is None else record.topic,
                partition=None if record is None else record.partition,
                offset=None if record is None else record.offset,
                raw=raw,
                count=count,
                opened_us=opened_us,
                updated_us=self._now_us,
            )
        )
        return identity

    def close(self, identity: str) -> bool:
        """Close it; False: none of that id is open."""
        known = load_exception(self._state, identity)
        if known is None or known.status is not ExceptionStatus.OPEN:
            return False
        self._put(
            msgspec.structs.replace(
                known, status=ExceptionStatus.CLOSED, updated_us=self._now_us, closed_us=self._now_us, raw=None
            )
        )
        if self._state.get(b"k" + identity.encode()) is not None:
            self._state.put(b"k" + identity.encode(), None)
        self.closed.append(identity)
        return True

    def tell(self, identity: str) -> None:
        """Say again how it stands; one that this state does not know is closed."""
        if load_exception(self._state, identity) is None:
            self.disown(identity)
        else:
            self._dirty.exception(identity)

    def disown(self, identity: str) -> None:
        """Close what this state does not know: one that was lost opened it."""
        prefix = f"{STAGE}/{self._source}/"
        code, slash, subject = identity.removeprefix(prefix).partition("/")
        if not identity.startswith(prefix) or not slash:
            return
        closed = ExceptionRecord(
            id=identity,
            version=0,
            stage=STAGE,
            source=self._source,
            code=code,
            status=ExceptionStatus.CLOSED,
            subject=subject,
            detail="opened by a state of this lane that was lost since",
            action="",
            updated_us=self._now_us,
            closed_us=self._now_us,
        )
        self._put(closed)
        self.closed.append(identity)

    def share(self, identity: str) -> None:
        """One more row gives cause for an exception that rows share."""
        self._state.put(b"n" + identity.encode(), b"%d" % (self._sharing(identity) + 1))

    def close_for(self, identity: str) -> None:
        """A row gives cause no longer: close it, if rows share it with the last of them."""
        left = self._sharing(identity) - 1
        if left >= 0:
            self._state.put(b"n" + identity.encode(), b"%d" % left if left else None)
        if left <= 0:
            self.close(identity)

    def shared(self, identity: str) -> bool:
        """Rows share it."""
        return self._sharing(identity) > 0

    def _sharing(self, identity: str) -> int:
        return int(self._state.get(b"n" + identity.encode()) or 0)

    def close_code(self, code: str, subject: str) -> None:
        """Close the exception of this code and subject, if it is open."""
        self.close(exception_id(self._source, code, subject))

    def _put(self, record: ExceptionRecord) -> None:
        self._state.put(b"x" + record.id.encode(), _encoder.encode(record))
        self._dirty.exception(record.id)


def open_exceptions(state: View) -> set[str]:
    """Ids of those that are open."""
    return {identity for identity, status in _all(state) if status is ExceptionStatus.OPEN}


def closed_exceptions(state: View) -> list[str]:
    """Ids of closed exceptions still in the state, for a lane that opens."""
    return [identity for identity, status in _all(state) if status is not ExceptionStatus.OPEN]


def _all(state: View) -> Iterator[tuple[str, ExceptionStatus]]:
    return ((key[1:].decode(), _decoder.decode(value).status) for key, value in state.scan(b"x"))
