"""What channels were told, written anew for more partitions: where it belongs, and also when it is done again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

import pytest

from onhand.publications import partition_of, places_of, rewritten
from schemas.codec import Codec
from schemas.records import Publication, PublicationState
from sinks.core.desk import control_record
from sinks.core.ledger import Telling
from sinks.workers import wire
from sinks.workers.channel import publication_key
from sinks.workers.wire import Received
from streams.agents.runtime.transport import Partitioner

CODEC = Codec.local()
BEFORE, AFTER = 2, 4
SETTLE_US = 5_000_000
INTENT, ACKNOWLEDGED = PublicationState.INTENT, PublicationState.ACKNOWLEDGED
REJECTED, PARKED = PublicationState.REJECTED, PublicationState.PARKED

Log = dict[int, list[Received]]


@pytest.mark.parametrize("partitions", [1, 4, 6, 50])
def test_a_publication_stands_with_the_fact_it_tells(partitions: int) -> None:
    place = Partitioner()
    for key in ("A100000", "Größe/7", "", "SO-1"):
        assert partition_of(key.encode(), partitions) == place(key.encode(), partitions)
        assert places_of(f"shop/inventory/{key}", partitions) == (place(key.encode(), partitions),)


def test_an_order_to_the_workers_stands_everywhere() -> None:
    assert list(places_of("shop/control/resend/*", 3)) == [0, 1, 2]


def told(key: str, state: PublicationState, version: int, sequence: int = 0, attempts: int = 1) -> Publication:
    """Version 3 tells of a location that later ones do not name."""
    quantities = {"*": Decimal(version)} | ({"C": Decimal(1)} if version == 3 else {})
    return Publication(
        id=f"{key}-{version}-{sequence}", channel="shop", kind="inventory", key=key, state=state,
        source_version=version, rule_version=7, staleness_step=0, attempts=attempts, sequence=sequence,
        quantities=quantities, sent_us=version * 60_000_000 + sequence * 10_000_000 + attempts,
    )  # fmt: skip


def history(key: str) -> list[Publication]:
    """Version 4 is acknowledged; or 3, and of 5 nobody knows; or 5 after 3 attempts; or it is parked."""
    begun = [told(key, INTENT, 3), told(key, ACKNOWLEDGED, 3)]
    failed = [told(key, INTENT, 5), told(key, REJECTED, 5), told(key, INTENT, 5, 1)]
    ends = {
        "A": [told(key, INTENT, 4), told(key, ACKNOWLEDGED, 4)],
        "B": failed,
        "C": [*failed, told(key, REJECTED, 5, 1), told(key, INTENT, 5, 1, 2), told(key, ACKNOWLEDGED, 5, 1, 2)],
        "D": [*failed, told(key, PARKED, 5, 1)],
    }
    return begun + ends[key[0]]


KEYS = [letter + str(number) for letter in "ABCD" for number in range(4)]
CONTROLS = [control_record("shop", "state", status, at_us) for at_us, status in ((1, "paused"), (2, "running"))]


def append(log: Log, partition: int, key: str, value: bytes | None, worker: str | None = "w") -> None:
    log[partition].append(Received(wire.PUBLICATION, partition, len(log[partition]), key, value, worker, False))


def told_before() -> Log:
    log: Log = defaultdict(list)
    for key in KEYS:
        for record in history(key):
            place = partition_of(key.encode(), BEFORE)
            append(log, place, publication_key(record), CODEC.encode(wire.PUBLICATION, record))
    for control in CONTROLS:
        for place in range(BEFORE):
            append(log, place, publication_key(control), CODEC.encode(wire.PUBLICATION, control))
    return log


def copied(log: Log, order: Iterable[int], at_most: int | None = None) -> Log:
    """The log after a copy that was read in this order and died after so many records; None: what alone is left when
    it was whole."""
    ends = {place: len(log[place]) for place in range(AFTER)}
    copies = list(rewritten([record for place in order for record in log[place]], AFTER, CODEC))
    after: Log = defaultdict(list, {place: list(records) for place, records in log.items()})
    for place, record in copies[:at_most]:
        append(after, place, record.key, record.value, record.worker)
    return after if at_most is not None else {place: after[place][end:] for place, end in ends.items()}


def recalled(records: Iterable[Received]) -> dict[str, tuple[object, ...]]:
    """What a channel's worker makes of them, by key."""
    tellings: dict[str, Telling] = {}
    for record in records:
        publication = CODEC.decode(wire.PUBLICATION, record.value or b"")
        if publication.kind == "inventory":
            tellings.setdefault(record.key, Telling(0)).recall(publication, SETTLE_US)
    return {
        key: (one.last, one.attempts, one.acknowledged, one.parked, one.quantities, dict(one.possible), one.open_us)
        for key, one in tellings.items()
    }


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0)])
@pytest.mark.parametrize("died_after", range(0, 41, 4))
def test_a_repeated_copy_loses_nothing(order: tuple[int, ...], died_after: int) -> None:
    before = told_before()
    everything = recalled(record for records in before.values() for record in records)
    after = copied(copied(copied(before, order, died_after), order[::-1], 3), order)

    assert recalled(record for records in after.values() for record in records) == everything
    for place, records in after.items():
        newest = {record.key: CODEC.decode(wire.PUBLICATION, record.value or b"") for record in records}
        for key, publication in newest.items():
            assert place in places_of(key, AFTER)
            if publication.kind == "inventory":
                assert publication == history(publication.key)[-1], "compaction would lose the newest"
            else:
                assert publication == CONTROLS[-1]
        assert sum(key.startswith("shop/control/") for key in newest) == 1
        assert {record.worker for record in records} == {"w"}


def test_what_cannot_be_read_is_kept_where_there_is_nothing_else() -> None:
    log: Log = defaultdict(list)
    key = publication_key(told("A1", INTENT, 3))
    append(log, 0, key, CODEC.encode(wire.PUBLICATION, told("A1", ACKNOWLEDGED, 3)))
    append(log, 0, key, b"?")
    append(log, 0, "shop/inventory/A2", b"!")
    values = [record.value for _, record in rewritten(log[0], AFTER, CODEC)]
    assert sorted(values, key=lambda value: value or b"") == sorted([log[0][0].value or b"", b"!"])
