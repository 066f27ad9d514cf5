"""The receiver: folds a message into the claims of its sku.

Everything that comes is absolute and versioned, so a message is either applied whole or dropped whole: older than the
newest of its (sku, source), or than the source's restatement, it is late.  Parts of one version are applied as they
come, and nothing of the sku is published before the last.
"""

from __future__ import annotations

from collections.abc import Iterable

from schemas.messages import Balance, BalanceMessage
from streams.core.inventory.kit_intake import take_bill, withdraw_bill
from streams.core.inventory.state import Claim, Entry, SourcedItem
from streams.core.inventory.working import Working, note


def receive(working: Working, message: BalanceMessage, floor: int) -> bool:
    """Apply a message of kind `balances`; False when it is late."""
    source, version = message.source, message.version
    if version < floor:
        return False
    record = working.sku(message.sku)
    if version < record.versions.get(source, 0):
        return False
    record.versions[source] = version
    if message.part < message.parts:
        record.unfinished[source] = version
    else:
        record.unfinished.pop(source, None)
    if message.item is not None:
        if message.item.withdrawn:
            record.items.pop(source, None)
        else:
            record.items[source] = SourcedItem(version, message.item)
    if message.uncertain is not None:
        others = [name for name in record.uncertain if name != source]
        record.uncertain = sorted([*others, source]) if message.uncertain else others
    if len(message.balances) == 1:
        _assert(working.claim(message.sku, message.balances[0].reference), source, version, message.balances)
    else:
        by_reference: dict[str | None, list[Balance]] = {}
        for balance in message.balances:
            by_reference.setdefault(balance.reference, []).append(balance)
        for reference, balances in by_reference.items():
            _assert(working.claim(message.sku, reference), source, version, balances)
    if message.kits is not None:
        take_bill(working, message, message.kits)
    note(record, message.stamps, source)
    return True


def _assert(claim: Claim, source: str, version: int, balances: Iterable[Balance]) -> None:
    """Put what the source says now in the place of what it said."""
    entries = claim.entries
    at = {(e.view, e.location, e.bucket, e.due): n for n, e in enumerate(entries) if e.source == source}
    gone: set[int] = set()
    for balance in balances:
        identity = (balance.view, balance.location, balance.bucket, balance.due)
        n = at.get(identity)
        if balance.postings == 0:
            if n is not None:
                gone.add(n)
            continue
        entry = Entry(
            source,
            balance.view,
            balance.location,
            balance.bucket,
            balance.due,
            balance.quantity,
            version,
            balance.expires_us,
        )
        if n is None:
            at[identity] = len(entries)
            entries.append(entry)
        else:
            entries[n] = entry
            gone.discard(n)
    if gone:
        claim.entries = [entry for n, entry in enumerate(entries) if n not in gone]


def withdraw(claim: Claim, source: str, since: int) -> bool:
    """Take out what the source said before version `since`; True when there was something."""
    kept = [entry for entry in claim.entries if entry.source != source or entry.version >= since]
    changed = len(kept) != len(claim.entries)
    claim.entries = kept
    return changed


def withdraw_item(working: Working, sku: str, source: str, since: int) -> bool:
    """The same for the item, for kits, and for what is parked."""
    record = working.sku(sku)
    said = record.items.get(source)
    changed = withdraw_bill(working, sku, source, since)
    if said is not None and said.version < since:
        del record.items[source]
        changed = True
    if record.versions.get(source, 0) < since and source in record.uncertain:
        record.uncertain = [name for name in record.uncertain if name != source]
        changed = True
    return changed
