"""Watches every record as it is written, and says what must never be.

A promise names the version of each source it rests on; a version is a unit of that source's lane, a unit ends at an
offset of the source topic, and an offset has rows.  So every promise can be compared with the model as it is written.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas.records import Atp, Bucket, LocationAtp, Order, Position
from schemas.versions import version_of
from streams.agents.runtime.marker import MARK_KEY, Marker, decode_marker
from streams.core.inventory.state import RECOMPUTE_KEY, decode_made
from streams.core.lane.state import Memo, load_memo
from tests.machine import model
from tests.machine.sources import DAY_ZERO, TABLES, Database
from tests.machine.world import Record

NOTHING: dict[str, model.Rows] = {source: {table: {} for table in TABLES[source]} for source in TABLES}
NOTHING["erp"]["rule"] = {1: {"times": 1}}
_atp = msgspec.msgpack.Decoder(Atp).decode
_position = msgspec.msgpack.Decoder(Position).decode
_order = msgspec.msgpack.Decoder(Order).decode


@dataclass
class Unit:
    """One unit of a lane, as its marker says."""

    offset: int
    memo: Memo
    disturbed: bool
    restates: bool
    """It says everything anew: what it no longer says is withdrawn behind it."""
    history: bool
    """A lane has been further before: it has lost its state and runs through the log again."""

    @property
    def whole(self) -> bool:
        """Every row it covers is in the sums, and nothing waits."""
        memo = self.memo
        if memo.sweeping or memo.reasserting or memo.evaluating is not None or memo.silent:
            return False
        return not (self.disturbed or any(table.sweep_asks for table in memo.tables.values()))


@dataclass
class Judge:
    databases: Mapping[str, Database]
    settled: Callable[[int, bytes], bytes | None]
    """(partition, key) → inventory's settled value."""
    disturbed: set[str]
    """Sources of which a record waits behind poison bytes, or whose log was cut."""
    by_fingerprint: Mapping[bytes, model.Owners]
    wrong: list[str] = field(default_factory=list)
    units: dict[str, dict[int, Unit]] = field(default_factory=lambda: {"erp": {}, "wms": {}})
    last_unit: dict[str, Unit] = field(default_factory=dict)
    furthest: dict[str, int] = field(default_factory=lambda: {"erp": 0, "wms": 0})
    """Offset up to which a lane has ever been."""
    since: dict[str, set[int]] = field(default_factory=lambda: {"erp": set(), "wms": set()})
    """Offsets at which a lane has stood since it last was in the past."""
    owners: dict[int, model.Owners] = field(default_factory=dict)
    """By partition: as its process of inventory knows them."""
    owners_before: dict[int, set[model.Owners]] = field(default_factory=dict)
    """Those by which its promises may still be made: not all of them have been made anew."""
    complete: set[str] = field(default_factory=set)
    """Sources whose rows a lane has had whole at some time."""
    told: dict[str, Atp] = field(default_factory=dict)
    """Newest promise of a sku."""
    checked: int = 0
    """Promises that were compared with the model, exactly."""
    seen: dict[str, int] = field(default_factory=dict)

    def watch(self, topic: str, partition: int, record: Record) -> None:
        if topic.startswith("lane-") and record.key == MARK_KEY and record.value is not None:
            self._marker(topic.removeprefix("lane-").partition("-")[0], decode_marker(record.value))
        elif topic.startswith("inventory-state") and record.key == MARK_KEY and record.value is not None:
            self._rules(partition, decode_marker(record.value))
        elif topic == "inventory.atp.v1" and record.value is not None:
            self._promise(partition, _atp(record.value))
        elif topic == "order.v1" and record.value is not None:
            self._order(_order(record.value))

    def _marker(self, source: str, marker: Marker) -> None:
        mark = marker.inputs.get(f"cdc.{source}")
        if mark is not None and marker.memo:
            memo, before = load_memo(marker.memo), self.last_unit.get(source)
            restates = memo.restating is not None or (before is not None and before.memo.restating is not None)
            truth = self.databases[source].truth
            history = truth.changes(mark.offset) < truth.changes(self.furthest[source])
            unit = Unit(mark.offset, memo, source in self.disturbed, restates, history)
            self.furthest[source] = max(self.furthest[source], mark.offset)
            self.since[source] = set() if history else self.since[source] | {mark.offset}
            if truth.ever(unit.offset):
                self.complete.add(source)
            self.units[source][version_of(marker.epoch, marker.unit)] = self.last_unit[source] = unit

    def _rules(self, partition: int, marker: Marker) -> None:
        owners = self.by_fingerprint.get(marker.fingerprint or b"", self.owners.get(partition))
        if owners is not None and owners != self.owners.get(partition):
            before = (
                self.owners_before.get(partition, set())
                if self.settled(partition, RECOMPUTE_KEY) is not None
                else set()
            )
            self.owners_before[partition] = before | {self.owners.get(partition, owners)}
            self.owners[partition] = owners

    def rows_at(self, source: str, version: int) -> model.Rows | None:
        """Rows behind a version of a source; None: nothing exact can be said."""
        if version == 0:
            last = self.last_unit.get(source)
            rule = {"rule": self.databases[source].rule}
            return None if last is None or not last.whole else {**NOTHING[source], **rule}
        unit, last = self.units[source].get(version), self.last_unit[source]
        if unit is None or not unit.whole or version < (last.memo.restated_since or 0):
            return None  # what a source has not restated since may be withdrawn already, without a message
        return self.databases[source].truth.at(unit.offset)

    def _promise(self, partition: int, atp: Atp) -> None:
        before = self.told.get(atp.sku)
        if before is not None and atp.version < before.version:
            return  # a former owner's; at rest the newest must stand again
        self.told[atp.sku] = atp
        if not atp.complete:
            return
        for source in self.databases:
            if source not in self.complete:
                self.wrong.append(f"{atp.sku} is promised before {source} is complete")
        today = atp.network.steps[0].date
        if before is not None and before.complete and atp.network.available_now > _lowest(before.network, today):
            for source, version in atp.source_versions.items():
                unit = self.units[source].get(version)
                if (
                    unit is not None
                    and unit.history
                    and self._past(source, atp, self.owners.get(partition, model.Owners()))
                ):
                    self.wrong.append(f"{atp.sku}: {atp.network.available_now} leaves from the past of {source}: {atp}")
        stored = self.settled(partition, b"p" + atp.sku.encode())
        if stored is None or atp.uncertain or (atp.kit is not None and atp.kit.components):
            return  # of a kit's components it knows how they were a hop ago; at rest it is as the model says
        position = _position(decode_made(stored).content)
        if not position.complete:
            if before is not None and before.complete and atp.network.available_now > _lowest(before.network, today):
                self.wrong.append(
                    f"{atp.sku}: {atp.network.available_now} leaves while only decreases may, after {before}"
                )
            return
        erp, wms = (self.rows_at(source, atp.source_versions.get(source, 0)) for source in ("erp", "wms"))
        if erp is not None and wms is not None:
            self.checked += 1
            owners = {self.owners[partition]}
            if self.settled(partition, RECOMPUTE_KEY) is not None:
                owners |= self.owners_before[partition]
            day = (today - DAY_ZERO).days
            expected = {model.promise({**erp, "kit": {}}, wms, atp.sku, day, each) for each in owners}
            stands = atp.network.available_now
            asked = atp.kit is not None  # by kits, for some of it, as they were a hop ago
            if stands not in expected and not (asked and stands < max(expected)):
                self.wrong.append(f"{atp.sku}: {stands} promised, the rows say {expected}: {atp}")
            places = [model.stock(wms, atp.sku, each) for each in owners]
            if stock_of(position) not in places:
                self.wrong.append(f"{atp.sku}: the rows have {places} on hand: {position}")

    def _past(self, source: str, atp: Atp, owners: model.Owners) -> bool:
        """A source's rows have not been such, that so much could be promised, since its lane was in the past."""
        if not self.since[source]:
            return True
        rows = {each: self.rows_at(each, atp.source_versions.get(each, 0)) for each in self.databases}
        since = [self.databases[source].truth.at(offset) for offset in self.since[source]]
        other = next(found for each, found in rows.items() if each != source)
        if other is None or None in since or (atp.kit is not None and atp.kit.components):
            return False  # nothing exact can be said
        day = (atp.network.steps[0].date - DAY_ZERO).days
        return atp.network.available_now > max(
            model.promise({**erp, "kit": {}}, wms, atp.sku, day, owners)
            for erp, wms in ((each, other) if source == "erp" else (other, each) for each in since if each is not None)
        )

    def _order(self, order: Order) -> None:
        if not order.complete:
            return
        version = order.source_versions.get("erp", 0)
        erp, unit = self.rows_at("erp", version), self.units["erp"].get(version)
        if (
            erp is not None
            and unit is not None
            and not unit.restates
            and order.version >= self.seen.get(order.order_id, 0)
        ):
            self.seen[order.order_id] = order.version
            expected = model.order(erp, int(order.order_id[3:]))
            if said(order) != expected:
                self.wrong.append(f"{order.order_id}: {said(order)} published, the rows say {expected}")


def said(order: Order | None) -> tuple[str, dict[int, int]] | None:
    """An order in the model's words."""
    if order is None or order.withdrawn is not None:
        return None
    return order.execution_status, {int(line.line_id[3:]): int(line.ordered or 0) for line in order.lines}


def stock_of(position: Position) -> dict[str, int]:
    """On hand by place, in the model's words; the first letter says by which version of the mapping."""
    found: dict[str, int] = {}
    for line in position.lines:
        if line.bucket is Bucket.ON_HAND:
            found[line.location[1:]] = found.get(line.location[1:], 0) + int(line.quantity)
    return {place: quantity for place, quantity in found.items() if quantity}


def _lowest(at: LocationAtp, today: dt.date) -> Any:
    """What a promise says from `today` on."""
    standing = [step.available for step in at.steps if step.date <= today][-1:] or [at.steps[0].available]
    return min(standing + [step.available for step in at.steps if step.date > today])
