"""The receiver's rules: a source's message becomes statements of an order.

* The newest version per (order, source) is kept, older messages are dropped whole; a version may come in parts.
* What a source says of a part replaces what it said: of several rows about one part the lane chooses.
* What a deleted row meant: archived, its last word stands; cancelled, its last word stands and says so; removed, it
  says nothing any more.
* When a source has restated everything since a version, what lives only by an older one is gone.
"""

from __future__ import annotations

from decimal import Decimal

from schemas.messages import OrderPart, OrderPartMessage
from schemas.records import Stamps
from schemas.statuses import Deletion, ExecutionStatus, ShipmentStatus
from streams.core.orders.state import SEPARATOR, OrderState, Statement, Voice

AS_OF = "as_of"


def receive(order: OrderState, message: OrderPartMessage, restated_since: int) -> bool:
    """Fold one message of kind `parts` into the order; False: stale, nothing changed."""
    voice = order.voices.setdefault(message.source, Voice())
    stale = (message.version, message.part) <= (voice.version, voice.part) or message.version < restated_since
    if stale:
        return False
    voice.version, voice.part, voice.pending = message.version, message.part, message.part < message.parts
    # A row archived into a history table leaves one table and enters the other in one version: the living one stands.
    for part in sorted(message.order_parts, key=lambda part: not part.withdrawn):
        _state(voice, part, message.version)
    return True


def sweep(order: OrderState, source: str, restated_since: int) -> bool:
    """Drop what `source` has not restated since that version; True: something was dropped."""
    voice = order.voices.get(source)
    if voice is None:
        return False
    gone = [k for k, s in voice.statements.items() if s.version < restated_since and s.withdrawn is None]
    for key in gone:
        _remove(voice, key, restated_since)
    if voice.pending and voice.version < restated_since:
        voice.pending = False
        return True
    return bool(gone)


def oldest(one: Stamps, other: Stamps) -> Stamps:
    """Stamps of the two changes together: per system the earlier one."""
    return Stamps(
        committed_us=_earlier(one.committed_us, other.committed_us),
        captured_us=_earlier(one.captured_us, other.captured_us),
        laned_us=_earlier(one.laned_us, other.laned_us),
    )


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _state(voice: Voice, part: OrderPart, version: int) -> None:
    key = part.kind + SEPARATOR + part.part_id
    known = voice.statements.get(key)
    attributes = {name: value for name, value in part.attributes.items() if value is not None}
    as_of_us = _instant(attributes.pop(AS_OF, None))
    if not part.withdrawn:
        voice.statements[key] = Statement(version, None, as_of_us, attributes)
        return
    deletion = part.deletion or Deletion.REMOVED
    if deletion == Deletion.REMOVED:
        _remove(voice, key, version)
        return
    last = attributes or (known.attributes if known is not None else {})
    if deletion == Deletion.CANCELLED:
        last = {**last, **_cancellation(part.kind, last)}
    kept_as_of = as_of_us if as_of_us is not None else known.as_of_us if known is not None else None
    voice.statements[key] = Statement(version, str(deletion), kept_as_of, last)


def _remove(voice: Voice, key: str, version: int) -> None:
    if key.startswith("header" + SEPARATOR):
        voice.statements[key] = Statement(version, str(Deletion.REMOVED), None, {})
    else:
        voice.statements.pop(key, None)


def _cancellation(kind: str, last: dict[str, str]) -> dict[str, str]:
    """What a row says by being deleted, when that means cancelled."""
    if kind == "header":
        return {"execution_status": ExecutionStatus.CANCELLED.value}
    if kind == "shipment":
        return {"status": ShipmentStatus.CANCELLED.value}
    if "ordered" not in last:
        return {}
    try:
        rest = Decimal(last["ordered"]) - Decimal(last.get("shipped", "0"))
    except ArithmeticError:
        return {}
    return {"cancelled": format(max(rest, Decimal(0)), "f")}


def _instant(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
