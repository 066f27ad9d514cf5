"""Why a sku has its promise: the promise, its position, claim by claim who is believed, and the rows behind each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from schemas.errors import InvalidInput
from schemas.records import Atp, Bucket, LocationAtp, Position
from streams.connect.explain.rows import posting_text, row_documents
from streams.connect.explain.world import World
from streams.core.inventory.claims import owner_of, settle
from streams.core.inventory.state import Entry, LineKey
from streams.core.ownership import Owner, Ownership

_ORDER = {bucket: number for number, bucket in enumerate(Bucket)}


def explain_sku(world: World, sku: str, now_us: int) -> dict[str, Any]:
    """Raises InvalidInput when nobody knows the sku, EnvironmentFault."""
    atp = world.canonical.newest("inventory.atp.v1", sku)
    position = world.canonical.newest("inventory.position.v1", sku)
    claims: dict[str | None, list[Entry]] = defaultdict(list)
    rows: list[dict[str, Any]] = []
    for lane in world.lanes:
        for held in lane.balances(sku):
            name = held.name
            entry = Entry(lane.source, name.view, name.location, name.bucket, name.due, held.quantity, 0)
            claims[name.reference].append(entry)
        found = lane.rows_of_sku(sku)
        says = {row.reference: [*(posting_text(*posting) for posting in row.postings), *row.also] for row in found}
        rows += row_documents(world, lane, found, says)
    if atp is None and not claims and not rows:
        silent = "".join(f"; {source}: {why}" for source, why in world.silent.items())
        raise InvalidInput(
            f"sku {sku!r}: no source says anything about it; skus are written as the mapping makes them{silent}"
        )
    item = world.canonical.newest("item.v1", sku)
    return {
        "sku": sku,
        "promise": _promise(atp) if isinstance(atp, Atp) else None,
        "item": None if item is None else msgspec.to_builtins(item),
        "position": _position(position) if isinstance(position, Position) else None,
        "claims": [
            claim_document(world.ownership, reference, entries, now_us)
            for reference, entries in sorted(claims.items(), key=lambda each: (each[0] is not None, each[0] or ""))
        ],
        "rows": rows,
        "sources": world.sources,
        "silent": world.silent,
        "exceptions": world.exceptions(sku),
    }


def _promise(atp: Atp) -> dict[str, Any]:
    return {
        "version": atp.version,
        "cause": atp.cause,
        "complete": atp.complete,
        "uncertain": atp.uncertain,
        "source_versions": atp.source_versions,
        "stamps": msgspec.to_builtins(atp.stamps),
        "network": _available(atp, atp.network),
        "locations": [_available(atp, one) for one in atp.locations],
        "kit": msgspec.to_builtins(atp.kit),
    }


def _available(atp: Atp, at: LocationAtp) -> dict[str, Any]:
    kit = atp.kit is not None and bool(atp.kit.components)
    return {**msgspec.to_builtins(at), "words": terms(at, kit=kit), "by_date": by_date(at)}


def terms(at: LocationAtp, *, kit: bool = False) -> str:
    """`17 = on hand 20 − on hold 3`, terms that are zero left out.

    They say all that is open up to the horizon; what is available now is the lowest of all days, so what comes in
    after that day is taken off again.
    """
    whole = at.steps[-1].available if at.steps else at.available_now
    signed = [
        ("on hand", at.on_hand),
        ("on hold", -at.on_hold),
        ("safety stock", -at.safety_stock),
        ("inbound", at.inbound),
        ("demand", -at.demand),
        ("reserved", -at.reserved),
    ]
    rest = whole - sum((quantity for _, quantity in signed), Decimal(0))
    signed.append(("kits that can be made" if kit else "held while a source is incomplete", rest))
    signed.append(("not there in time", at.available_now - whole))
    said = [f"on hand {plain(at.on_hand)}"]
    said += [
        f"{'+' if quantity > 0 else '−'} {name} {plain(abs(quantity))}" for name, quantity in signed[1:] if quantity
    ]
    return f"{plain(at.available_now)} = {' '.join(said)}"


def by_date(at: LocationAtp) -> str:
    """`3 from 2026-11-25, 8 from 2026-12-09`; nothing when it is the same on all days."""
    return ", ".join(f"{plain(step.available)} from {step.date}" for step in at.steps) if len(at.steps) > 1 else ""


def plain(quantity: Decimal) -> str:
    """Without needless zeros."""
    text = format(quantity, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _position(position: Position) -> dict[str, Any]:
    return {
        "version": position.version,
        "lines": [msgspec.to_builtins(line) for line in position.lines],
        "drifts": [msgspec.to_builtins(drift) for drift in position.drifts],
    }


def claim_document(
    ownership: Ownership, reference: str | None, entries: Sequence[Entry], now_us: int
) -> dict[str, Any]:
    """What everybody says of one reference, and what follows from it."""
    ordered = sorted(entries, key=lambda e: (_ORDER[e.bucket], e.location, e.source, e.view, str(e.due or "")))
    effect = settle(ordered, reference is not None, ownership, now_us)
    opens = [
        {"location": location, "bucket": bucket.value, "due": due, "quantity": quantity}
        for (location, bucket, due), quantity in effect.lines.items()
    ]
    return {
        "reference": reference,
        "entries": [_entry(ownership, entry, ordered, reference is not None) for entry in ordered],
        "counts": opens,
        "words": list(_words(ownership, reference, ordered, effect.lines)),
    }


def _entry(ownership: Ownership, entry: Entry, entries: Sequence[Entry], referenced: bool) -> dict[str, Any]:
    owner = owner_of(entry, entries, referenced, ownership)
    speaker = Owner(entry.source, entry.view)
    role = "counts" if owner == speaker else "nobody owns it" if owner is None else f"compared: {owner} owns it"
    return {
        "source": str(speaker),
        "bucket": entry.bucket.value,
        "location": entry.location,
        "due": entry.due,
        "quantity": entry.quantity,
        "role": role,
    }


def _words(
    ownership: Ownership, reference: str | None, entries: Sequence[Entry], lines: Mapping[LineKey, Decimal]
) -> Iterator[str]:
    """What is left of a claim, for people."""
    if reference is None:
        return
    counted = {entry.bucket for entry in entries if _counts(ownership, entry, entries)}
    for claimed, done in ((Bucket.DEMAND, Bucket.FULFILLED), (Bucket.INBOUND, Bucket.RECEIVED)):
        said = {entry.bucket for entry in entries if entry.bucket in (claimed, done)}
        left = [(at, due, quantity) for (at, bucket, due), quantity in lines.items() if bucket is claimed]
        for at, due, quantity in left:
            yield f"{reference}: open {claimed.value} {plain(quantity)} at {at}{f' due {due}' if due else ''}"
        if left or not said:
            continue
        if claimed not in said:
            yield f"{reference}: {done.value} without {claimed.value}: nothing is open"
        elif claimed not in counted:
            yield f"{reference}: {claimed.value} is said only by a source that does not own it: it does not count"
        else:
            yield f"{reference}: {claimed.value} is closed: nothing of it counts any more"


def _counts(ownership: Ownership, entry: Entry, entries: Sequence[Entry]) -> bool:
    return owner_of(entry, entries, True, ownership) == Owner(entry.source, entry.view)
