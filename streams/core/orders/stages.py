"""Whether two statuses contradict each other, when one of the systems has fewer words for the way.

A WMS says picking where an ERP that knows entered, released and shipped can only say released.  That is no conflict:
what the finer one says, told in the coarser one's words, is the same.  The words of a source are those its source.yaml
maps codes to; a source that has a word and does not use it disagrees.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from schemas.statuses import DeliveryStatus, ExecutionStatus, FinancialStatus, PresentationStatus, ShipmentStatus

Words = Mapping[tuple[str, str, str], frozenset[str]]
"""(source, `header` or `shipment`, status column) → the contract's symbols it can say."""

WAYS: dict[tuple[str, str], tuple[str, ...]] = {
    ("header", "financial_status"): (
        FinancialStatus.OPEN,
        FinancialStatus.AUTHORISED,
        FinancialStatus.INVOICED,
        FinancialStatus.PARTLY_PAID,
        FinancialStatus.PAID,
    ),
    ("header", "execution_status"): (
        ExecutionStatus.ENTERED,
        ExecutionStatus.RELEASED,
        ExecutionStatus.ALLOCATED,
        ExecutionStatus.PICKING,
        ExecutionStatus.PICKED,
        ExecutionStatus.PACKED,
        ExecutionStatus.PARTLY_SHIPPED,
        ExecutionStatus.SHIPPED,
        ExecutionStatus.CLOSED,
    ),
    ("header", "delivery_status"): (
        DeliveryStatus.NOT_SHIPPED,
        DeliveryStatus.IN_TRANSIT,
        DeliveryStatus.OUT_FOR_DELIVERY,
        DeliveryStatus.DELIVERED,
    ),
    ("header", "presentation_status"): (
        PresentationStatus.RECEIVED,
        PresentationStatus.CONFIRMED,
        PresentationStatus.IN_PROGRESS,
        PresentationStatus.SHIPPED,
        PresentationStatus.DELIVERED,
    ),
    ("shipment", "status"): (
        ShipmentStatus.OPEN,
        ShipmentStatus.PACKED,
        ShipmentStatus.SHIPPED,
        ShipmentStatus.IN_TRANSIT,
        ShipmentStatus.DELIVERED,
    ),
}
"""The ordinary way of a status, stage by stage; what is not on it (cancelled, lost …) only equals itself."""

_KINDS = {"orders": "header", "shipments": "shipment"}


def words_of(statuses: Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]) -> Words:
    """From every source's `statuses:` (source → file → column → code → symbol)."""
    return {
        (source, _KINDS[file], column): frozenset(codes.values())
        for source, files in statuses.items()
        for file, columns in files.items()
        if file in _KINDS
        for column, codes in columns.items()
    }


def fingerprint_of(words: Words) -> bytes:
    """32 bytes; a changed one has every order merged again."""
    listed = sorted((*key, *sorted(symbols)) for key, symbols in words.items())
    return hashlib.sha256(repr(listed).encode()).digest()


def agree(words: Words, kind: str, column: str, one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two sources, each with its (different) status, say the same in the words of one of them."""
    way = WAYS.get((kind, column))
    if way is None:
        return False
    return any(
        _told(status, words.get((listener, kind, column), frozenset()), way) == heard
        for (_, status), (listener, heard) in ((one, other), (other, one))
    )


def _told(status: str, symbols: frozenset[str], way: tuple[str, ...]) -> str | None:
    """The last stage on the way to `status` for which there is a word; None: there is none."""
    if status not in way:
        return None
    passed = way[: way.index(status) + 1]
    return next((stage for stage in reversed(passed) if stage in symbols), None)
