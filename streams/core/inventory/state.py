"""What inventory keeps of one partition: keys, records, codecs.

| kind | key after the letter | record |
|---|---|---|
| `s` | sku | `Sku`: sums, items, versions, wake, open exceptions |
| `c` | length of sku, sku, reference or nothing | `Claim`: every source's balances of one reference |
| `q` | source | `SourceState`: how far it is, what is withdrawn |
| `m` | source | `ReachedState`: how far each partition is with it; only with kits |
| `l` | location | `LocationState`: what each source says about it |
| `t` | instant, then `s` sku or `c` claim key | empty: what the clock must look at, when |
| `a` `p` `i` | sku | the last promise, position, item that was made, as `Made` |
| `x` | exception id | the exception record as it stands |
| `y` | exception id | empty: closed, and to be forgotten by the next unit |
| `w` | `r`, or `w` and source | `Recompute`, `Withdraw`: work lists |
| `z` | nothing | the latest instant by which promises were made |

Those of kits are in `kit_state`.  The same letters begin the owed keys: `a`, `p`, `i`, `x` name the record to send,
`g` and a source its progress, `m` and a source what every partition is told of it.
"""

from __future__ import annotations

import datetime as dt
from decimal import Context, Decimal, Inexact, InvalidOperation

import msgspec

from schemas.messages import ItemPart, LaneProgress, LocationPart
from schemas.records import Bucket, Stamps

STATE_FORMAT = b"inventory-2"
"""Part of the stage's fingerprint; a changed one recomputes every sku."""

EXACT = Context(prec=120, traps=[InvalidOperation, Inexact])
"""All arithmetic on quantities runs in this context: a sum that would be rounded stops the process."""

ZERO = Decimal(0)

LineKey = tuple[str, Bucket, dt.date | None]
"""(location, bucket, due) of a line of the promise."""
SumKey = tuple[str, Bucket, str, dt.date | None]
"""(location, bucket, owner, due) of a line of the position."""
DriftKey = tuple[str, Bucket, str, str]
"""(location, bucket, owner, other)."""


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One balance as its source said it last."""

    source: str
    view: str
    location: str
    bucket: Bucket
    due: dt.date | None
    quantity: Decimal
    version: int
    expires_us: int | None = None


class Claim(msgspec.Struct, array_like=True):
    """All balances of one (sku, reference), or of a sku's balances without one."""

    entries: list[Entry]
    settled_us: int = 0
    """The instant its effect was last computed for: expired reservations are told by it."""
    wake_us: int | None = None
    """When the next reservation expires, as the clock's index has it."""


class DriftSum(msgspec.Struct, array_like=True, frozen=True):
    """Over the claims in which owner and other disagree."""

    owner_quantity: Decimal
    other_quantity: Decimal
    count: int
    since_us: int


class SourcedItem(msgspec.Struct, array_like=True, frozen=True):
    """What one source says about an item."""

    version: int
    part: ItemPart


class Sku(msgspec.Struct, array_like=True):
    """One sku; bounded by locations and open due dates, never by claims."""

    rule: bytes = b""
    """Fingerprint of the rules the sums rest on; another one: they are made anew from the claims."""
    versions: dict[str, int] = msgspec.field(default_factory=dict)
    """Source → newest version seen; older messages are dropped whole."""
    lines: dict[LineKey, tuple[Decimal, int]] = msgspec.field(default_factory=dict)
    """Open quantity, and the number of claims it comes from."""
    sums: dict[SumKey, tuple[Decimal, int]] = msgspec.field(default_factory=dict)
    """As the owners have it, open claims only, and the number of claims."""
    drifts: dict[DriftKey, DriftSum] = msgspec.field(default_factory=dict)
    items: dict[str, SourcedItem] = msgspec.field(default_factory=dict)
    uncertain: list[str] = msgspec.field(default_factory=list)
    """Sources that have parked a row of this sku."""
    unfinished: dict[str, int] = msgspec.field(default_factory=dict)
    """Source → version of which not every part has come; source + ' withdrawn' → while a withdrawal is half done.
    Nothing is published meanwhile."""
    stamps: Stamps | None = None
    """The oldest change that the promise does not show yet."""
    cause: str = ""
    wake_us: int | None = None
    """When only time will change the promise, as the clock's index has it."""
    exceptions: dict[str, str] = msgspec.field(default_factory=dict)
    """`<code>/<subject>` → id of every open exception."""
    components: int = 0
    """Of how many it is made; 0: it is no kit.  What they are stands in records of their own (`kit_state`)."""
    component: bool = False
    """It goes into kits."""
    said: dict[str, bytes] = msgspec.field(default_factory=dict)
    """Kind (`p`, `a`, `i`) → digest of the output as it was last made, empty when there is none: what is not new need
    not be read to be seen as such."""
    first_days: bytes = b""
    """Of the promise as it was last made: only when they move may another content say the same."""
    coarse: bool = False
    """It has so many open places and dates that its sums stand without dates: demand is due now, inbound never."""
    whole: bool = False
    """It was last made when every source it rests on was ready for it; never of what has to do with kits or drifts."""


class Made(msgspec.Struct, array_like=True, frozen=True):
    """One output as it was last made; only its version and the instant of sending are missing."""

    content: bytes
    """Encoded record with what is compared: equal bytes are not sent again."""
    source_versions: dict[str, int]
    stamps: Stamps
    cause: str


class SourceState(msgspec.Struct, array_like=True):
    """One source, as this partition knows it."""

    version: int = 0
    """Of the newest progress."""
    progress: LaneProgress | None = None
    floor: int = 0
    """Messages of lower versions are dropped: everything was restated at or above it."""
    covered: LaneProgress | None = None
    """Seen in a unit whose outputs may not be acknowledged yet."""
    stated: LaneProgress | None = None
    """Everything up to it is in outputs that were acknowledged before this was said."""
    since: int = 0
    """Version of the first progress this state has heard; 0: heard before this was kept."""
    ready_since: int = 0
    """Version of the progress since which its lane has been complete without a hold."""
    stated_version: int = 0
    """Of `stated`."""
    told: tuple[bool, int, int] = (False, 0, 0)
    """(ready, since, floor) as every partition was told it last; only with kits."""
    earliest: int | None = 0
    """Lowest version of what it has said of skus and locations; None: nothing yet; 0: begun before this was kept."""


class ReachedState(msgspec.Struct, array_like=True):
    """How far every partition is with a source."""

    partitions: dict[int, tuple[int, int, bool]] = msgspec.field(default_factory=dict)
    """Partition → (version, version of the lane's progress, ready) as it said last."""


class SourcedLocation(msgspec.Struct, array_like=True, frozen=True):
    version: int
    part: LocationPart


class LocationState(msgspec.Struct, array_like=True):
    """What each source says about a location."""

    parts: dict[str, SourcedLocation] = msgspec.field(default_factory=dict)


class Recompute(msgspec.Struct, array_like=True):
    """Every sku is to be published anew: a rule or a source's state changed."""

    cause: str
    cursor: bytes = b""
    """Key of the first `s` record not done."""
    unless_whole: bool = False
    """A source has only become ready: what was whole without that stays as it is."""


class Withdraw(msgspec.Struct, array_like=True):
    """A source's balances below a version are to go."""

    since: int
    cursor: bytes = b""
    """Key of the first `c` or `s` record not done."""


def encode(record: msgspec.Struct) -> bytes:
    return _ENCODER.encode(record)


_ENCODER = msgspec.msgpack.Encoder(decimal_format="string")
decode_claim = msgspec.msgpack.Decoder(Claim).decode
decode_sku = msgspec.msgpack.Decoder(Sku).decode
decode_made = msgspec.msgpack.Decoder(Made).decode
decode_source = msgspec.msgpack.Decoder(SourceState).decode
decode_reached = msgspec.msgpack.Decoder(ReachedState).decode
decode_location = msgspec.msgpack.Decoder(LocationState).decode
decode_recompute = msgspec.msgpack.Decoder(Recompute).decode
decode_withdraw = msgspec.msgpack.Decoder(Withdraw).decode

RECOMPUTE_KEY = b"wr"
WITHDRAW_PREFIX = b"ww"
LATEST_KEY = b"z"
"""The latest instant by which promises were made, in quarters of an hour (local midnights fall on them)."""


def sku_key(sku: str) -> bytes:
    return b"s" + sku.encode()


def claims_prefix(sku: str) -> bytes:
    """Prefix of every claim of a sku, and of no other's."""
    text = sku.encode()
    return b"c" + len(text).to_bytes(4, "big") + text


def claim_key(sku: str, reference: str | None) -> bytes:
    prefix = claims_prefix(sku)
    return prefix if reference is None else prefix + b"=" + reference.encode()


def sku_of_claim(key: bytes) -> tuple[str, bool]:
    """(sku, whether there is a reference)."""
    end = 5 + int.from_bytes(key[1:5], "big")
    return key[5:end].decode(), len(key) > end


def wake_key(instant_us: int, key: bytes) -> bytes:
    """`key` is the `s` or `c` record to look at."""
    return b"t" + max(0, instant_us).to_bytes(8, "big") + key
