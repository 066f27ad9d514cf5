"""What comes about kits: from lanes what they are made of, from other partitions uses and offers."""

from __future__ import annotations

from schemas.messages import BalanceMessage, ComponentOffer, KitMessage, KitUse
from streams.core.inventory.kit_state import (
    Bill,
    Kit,
    Offer,
    Parts,
    Use,
    decode_kit,
    decode_parts,
    decode_use,
    encode,
    pair,
)
from streams.core.inventory.state import Sku
from streams.core.inventory.working import Working, note
from streams.core.unit import View


def take_bill(working: Working, message: BalanceMessage, said: KitMessage) -> None:
    """A lane's word on what a sku is made of, and on whether it goes into kits."""
    state, sku = working.state, message.sku
    record = working.sku(sku)
    if said.components is not None:
        kit = load_kit(state, sku)
        kit.again = True
        if said.components:
            parts = {component.sku: component.quantity for component in said.components}
            kit.bills[message.source] = Bill(message.version, parts)
        else:
            kit.bills.pop(message.source, None)
        keep_kit(working, sku, record, kit)
    if said.component is not None:
        of = load_parts(state, sku)
        if said.component:
            of.sources[message.source] = message.version
        else:
            of.sources.pop(message.source, None)
        keep_parts(state, sku, record, of)


def take_use(working: Working, message: BalanceMessage, use: KitUse) -> None:
    """What a kit asks of a component of this partition, unless it is late."""
    state, sku = working.state, message.sku
    key = b"u" + pair(sku, use.kit)
    stored = state.get(key)
    before = decode_use(stored) if stored is not None else Use()
    if message.version < before.version:
        return
    record = working.sku(sku)
    of = load_parts(state, sku)
    of.count(before, -1)
    after = Use(
        message.version, use.quantity, use.complete, use.uncertain, use.withdrawn, use.demand, before.asks or use.ask
    )
    of.count(after, 1)
    state.put(key, encode(after))
    if use.withdrawn:
        state.put(b"o" + key[1:], None)
    keep_parts(state, sku, record, of)
    note(record, message.stamps, message.source)


def take_offer(working: Working, message: BalanceMessage, offer: ComponentOffer) -> None:
    """What a component offers a kit of this partition, unless it is late or the kit has nothing to do with it."""
    sku = message.sku
    stored = working.state.get(b"k" + sku.encode())
    kit = decode_kit(stored) if stored is not None else Kit()
    known = kit.offers.get(offer.component)
    if offer.component not in kit.told or (known is not None and message.version < known.version):
        return
    kit.offers[offer.component] = Offer(
        message.version,
        offer.complete,
        offer.uncertain,
        offer.tracked,
        offer.kit,
        {at.location: at for at in offer.makeable},
        offer.source_versions,
        offer.quantity,
    )
    record = working.sku(sku)
    keep_kit(working, sku, record, kit)
    note(record, message.stamps, message.source)


def withdraw_bill(working: Working, sku: str, source: str, since: int) -> bool:
    """Take out what the source said of kits before version `since`; True when there was something."""
    state, record, changed = working.state, working.sku(sku), False
    if record.components:
        kit = load_kit(state, sku)
        if source in kit.bills and kit.bills[source].version < since:
            del kit.bills[source]
            keep_kit(working, sku, record, kit)
            changed = True
    if record.component:
        of = load_parts(state, sku)
        if of.sources.get(source, since) < since:
            del of.sources[source]
            keep_parts(state, sku, record, of)
            changed = True
    return changed


def load_kit(state: View, sku: str) -> Kit:
    """The kit's record, an empty one when there is none."""
    stored = state.get(b"k" + sku.encode())
    return decode_kit(stored) if stored is not None else Kit()


def load_parts(state: View, sku: str) -> Parts:
    """The component's record, an empty one when there is none."""
    stored = state.get(b"n" + sku.encode())
    return decode_parts(stored) if stored is not None else Parts()


def keep_kit(working: Working, sku: str, record: Sku, kit: Kit) -> None:
    """`record` counts its components, those that are still to be told that they are none included."""
    before = record.components
    record.components = len({*kit.told, *(part for bill in kit.bills.values() for part in bill.components)})
    working.weigh(record.components - before)
    working.state.put(b"k" + sku.encode(), encode(kit) if record.components else None)


def keep_parts(state: View, sku: str, record: Sku, of: Parts) -> None:
    """`record` says that it is a component as long as a lane or a kit does."""
    record.component = bool(of.sources or of.kits)
    state.put(b"n" + sku.encode(), encode(of) if record.component else None)
