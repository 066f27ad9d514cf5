"""The business exceptions of an order: which are open, since when, and when they close.

order-conflict           a source disagrees with the owner of an attribute, longer than the ownership file allows
shipment-without-order   a shipment names an order that no source knows, though every source is complete
status-unmapped          a status is none of the contract's symbols; it counts as not said
order-part-unreadable    a value is not what its column must be; it counts as not said
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from schemas.records import ExceptionRecord, ExceptionStatus
from streams.core.orders.merge import Merged
from streams.core.orders.state import OpenException, OrderState

STAGE = "orders"
MAX_NAMED = 5
"""So many places are named in one exception's text; the count tells the rest."""

_ACTIONS = {
    "order-conflict": "compare the two systems; correct the wrong one, or the owner in ownership.yaml",
    "shipment-without-order": "find the order in its system; check the order number the shipment's mapping makes",
    "status-unmapped": "map the code in the source's source.yaml `statuses:`",
    "order-part-unreadable": "correct the column in the source's mapping, then `onhand source restate`",
}
_NEED_COMPLETE = frozenset({"order-conflict", "shipment-without-order"})


class _Trouble(NamedTuple):
    detail: str
    places: int


def update_exceptions(
    order_id: str, state: OrderState, merged: Merged, *, complete: bool, conflict_after_us: int, now_us: int
) -> list[str]:
    """Open, change and close the order's exceptions in the state; ids of those that must be sent.

    While a source is not complete, what another source misses or contradicts opens nothing new.
    """
    found = _find(merged, conflict_after_us, now_us)
    changed = []
    for exception_id in [e for e, known in state.exceptions.items() if known.closed_us is not None]:
        # Its closing was acknowledged before this unit began.
        del state.exceptions[exception_id]
    for (code, source), trouble in sorted(found.items()):
        exception_id = f"{STAGE}/{source}/{code}/{order_id}"
        known = state.exceptions.get(exception_id)
        if known is None:
            if code in _NEED_COMPLETE and not complete:
                continue
            state.exceptions[exception_id] = OpenException(
                source, code, trouble.detail, _ACTIONS[code], trouble.places, now_us, now_us
            )
        elif (known.detail, known.count) != (trouble.detail, trouble.places):
            known.detail, known.count, known.updated_us = trouble.detail, trouble.places, now_us
        else:
            continue
        changed.append(exception_id)
    open_ids = {f"{STAGE}/{source}/{code}/{order_id}" for code, source in found}
    for exception_id, known in state.exceptions.items():
        if exception_id not in open_ids:
            known.closed_us = known.updated_us = now_us
            changed.append(exception_id)
    return changed


def exception_record(exception_id: str, order_id: str, known: OpenException, version: int) -> ExceptionRecord:
    """The exception as exception.v1 has it."""
    return ExceptionRecord(
        id=exception_id,
        version=version,
        stage=STAGE,
        source=known.source,
        code=known.code,
        status=ExceptionStatus.OPEN if known.closed_us is None else ExceptionStatus.CLOSED,
        subject=order_id,
        detail=known.detail,
        action=known.action,
        count=known.count,
        opened_us=known.opened_us,
        updated_us=known.updated_us,
        closed_us=known.closed_us,
    )


def _find(merged: Merged, conflict_after_us: int, now_us: int) -> dict[tuple[str, str], _Trouble]:
    """(code, source) → what is wrong."""
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for conflict in merged.conflicts:
        if conflict.since_us + conflict_after_us <= now_us:
            sides = f"{conflict.owner} {conflict.owner_value}, {conflict.other} {conflict.other_value}"
            places["order-conflict", conflict.other].append(f"{conflict.attribute}: {sides}")
    for unreadable in merged.unreadable:
        places[unreadable.code, unreadable.source].append(f"{unreadable.place}: {unreadable.text!r}")
    if not merged.has_header:
        for shipment in merged.shipments:
            places["shipment-without-order", shipment.source].append(f"shipment {shipment.shipment_id}")
    return {key: _Trouble(_listed(texts), len(texts)) for key, texts in places.items()}


def _listed(texts: list[str]) -> str:
    more = len(texts) - MAX_NAMED
    return "; ".join(texts[:MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")
