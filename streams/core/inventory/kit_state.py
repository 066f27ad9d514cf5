"""What inventory keeps of kits and of their components, which live in other partitions: keys, records, codecs.

| kind | key after the letter | record |
|---|---|---|
| `k` | kit | `Kit`: what each source says it is made of, what its components offer |
| `d` | kit and component | `Asked`: what the kit asks of the component, as it was last made |
| `n` | component | `Parts`: who says it is a component, and the sums of what kits ask |
| `u` | component and kit | `Use`: what the kit asked last; withdrawn it stays, so that nothing older counts again |
| `o` | component and kit | `Made`: what the component offers the kit, as it was last made |
| `f` | component | work list: the `u` key from which on kits are still to be told, and whether once more after it |

Owed keys are `d` and `o` with what follows them.  A pair is the length of the first sku, it, and the second.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec

from schemas.messages import KitDemand, Makeable
from schemas.records import Stamps
from streams.core.inventory.state import ZERO

Place = tuple[str, dt.date | None]
"""(location, due) of demand."""


class Bill(msgspec.Struct, array_like=True, frozen=True):
    """What one source says a kit is made of."""

    version: int
    components: dict[str, Decimal]
    """Component → quantity per kit."""


class Offer(msgspec.Struct, array_like=True, frozen=True):
    """What a component said last."""

    version: int
    complete: bool
    uncertain: bool
    tracked: bool
    kit: bool
    makeable: dict[str, Makeable]
    """By location; '*': the network."""
    source_versions: dict[str, int]
    quantity: Decimal | None = None
    """Per kit, that it was made for; None: said by a release that did not name it."""

    def is_for(self, quantity: Decimal | None) -> bool:
        """Whether it says how many kits there are at so much of the component each; None: not used."""
        return quantity is not None and self.quantity in (None, quantity)


class Kit(msgspec.Struct, array_like=True):
    """One kit."""

    bills: dict[str, Bill] = msgspec.field(default_factory=dict)
    """By source."""
    told: list[str] = msgspec.field(default_factory=list)
    """Components that know of the kit."""
    offers: dict[str, Offer] = msgspec.field(default_factory=dict)
    """By component; one that is not there is not known yet."""
    again: bool = False
    """A lane has stated what it is made of: everything is asked again, so that a component whose state was lost learns
    of the kit, and the kit of it."""


class Asked(msgspec.Struct, array_like=True, frozen=True):
    """What a kit asks of a component; only the version is missing."""

    quantity: Decimal
    complete: bool
    uncertain: bool
    demand: tuple[KitDemand, ...]
    ask: bool
    stamps: Stamps
    cause: str

    def says(self, other: Asked | None) -> bool:
        """Whether both ask the same."""
        mine = (self.quantity, self.complete, self.uncertain, self.demand)
        return other is not None and mine == (other.quantity, other.complete, other.uncertain, other.demand)


class Use(msgspec.Struct, array_like=True):
    """What a kit asked of the component last."""

    version: int = 0
    quantity: Decimal = ZERO
    complete: bool = True
    uncertain: bool = False
    withdrawn: bool = True
    demand: tuple[KitDemand, ...] = ()
    asks: bool = False
    """It is to be told the offer, changed or not."""


class Parts(msgspec.Struct, array_like=True):
    """A component; bounded by locations and dates, never by kits."""

    sources: dict[str, int] = msgspec.field(default_factory=dict)
    """Source whose lane says it goes into kits → version."""
    demand: dict[Place, tuple[Decimal, int]] = msgspec.field(default_factory=dict)
    """Open demand of kits, and the number of kits it comes from."""
    kits: int = 0
    """Kits that use it; of them …"""
    incomplete: int = 0
    """… those whose own sources are not complete …"""
    uncertain: int = 0
    """… and those whose demand is uncertain."""

    def count(self, use: Use, sign: int) -> None:
        """Take what a kit asks in (1) or out (-1)."""
        if use.withdrawn:
            return
        self.kits += sign
        self.incomplete += 0 if use.complete else sign
        self.uncertain += sign if use.uncertain else 0
        for demand in use.demand:
            place = (demand.location, demand.due)
            quantity, kits = self.demand.get(place, (ZERO, 0))
            if kits + sign:
                self.demand[place] = (quantity + sign * demand.quantity, kits + sign)
            else:
                del self.demand[place]


class Telling(msgspec.Struct, array_like=True, frozen=True):
    """Kits of a component still to be told its offer."""

    cursor: bytes
    """`u` key of the first one."""
    again: bool = False
    """The offer has changed meanwhile: from the first kit once more."""


_encoder = msgspec.msgpack.Encoder(decimal_format="string")
encode = _encoder.encode
decode_kit = msgspec.msgpack.Decoder(Kit).decode
decode_asked = msgspec.msgpack.Decoder(Asked).decode
decode_use = msgspec.msgpack.Decoder(Use).decode
decode_parts = msgspec.msgpack.Decoder(Parts).decode
decode_telling = msgspec.msgpack.Decoder(Telling).decode


def first_of_pair(sku: str) -> bytes:
    """Beginning of every pair whose first sku it is, and of no other."""
    text = sku.encode()
    return len(text).to_bytes(4, "big") + text


def pair(first: str, second: str) -> bytes:
    return first_of_pair(first) + second.encode()


def split_pair(key: bytes) -> tuple[str, str]:
    """Inverse of `pair`."""
    end = 4 + int.from_bytes(key[:4], "big")
    return key[4:end].decode(), key[end:].decode()
