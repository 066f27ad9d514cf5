"""E29: which differences between catalog.json and a database matter to a mapping."""

from __future__ import annotations

import msgspec
import pytest

from streams.connect.drift import used
from streams.core.mapping.catalogue import Catalogue, Column, drift
from streams.core.mapping.mapping import CompiledMapping, load_mapping
from tests.unit.connect.sources import CONFIGS


@pytest.fixture(scope="module")
def mapping() -> CompiledMapping:
    return load_mapping(CONFIGS / "wms")


def found(mapping: CompiledMapping, now: Catalogue) -> list[str]:
    return drift(used(mapping, mapping.catalogue, now), used(mapping, now, now))


def changed(mapping: CompiledMapping, table: str, **columns: Column | None) -> Catalogue:
    """The catalogue with columns replaced, added or (None) dropped."""
    now = msgspec.json.decode(msgspec.json.encode(mapping.catalogue), type=Catalogue)
    for name, column in columns.items():
        now.tables[table].columns.pop(name, None)
        if column is not None:
            now.tables[table].columns[name] = column
    return now


def test_a_used_column_that_changed_or_went(mapping: CompiledMapping) -> None:
    assert found(mapping, changed(mapping, "bin_stock")) == []
    quantity = mapping.catalogue.tables["bin_stock"].columns["qty"]
    wider = msgspec.structs.replace(quantity, scale=4)
    assert found(mapping, changed(mapping, "bin_stock", qty=wider)) == [
        f"column bin_stock.qty: scale {quantity.scale} → 4"
    ]
    assert found(mapping, changed(mapping, "bin_stock", qty=None)) == ["column bin_stock.qty is gone"]


def test_a_key_that_went(mapping: CompiledMapping) -> None:
    now = changed(mapping, "bin_stock")
    now.tables["bin_stock"].unique = ()
    assert [line.partition(" (")[0].partition(" [")[0] for line in found(mapping, now)] == [
        "table bin_stock: unique keys"
    ]


def test_what_the_mapping_does_not_use_is_left_alone(mapping: CompiledMapping) -> None:
    now = changed(mapping, "bin_stock", colour=Column(name="colour", type="varchar"))
    now.tables["bin_stock"].unique += (("colour",),)
    now.tables["elsewhere"] = now.tables["bin_stock"]
    assert found(mapping, now) == []


def test_a_table_that_cannot_be_seen_is_the_pre_flights(mapping: CompiledMapping) -> None:
    now = changed(mapping, "bin_stock")
    del now.tables["bin_stock"]
    assert found(mapping, now) == []
