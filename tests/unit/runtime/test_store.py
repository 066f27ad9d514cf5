"""The local store on disk: changes and standing together, scans in order, damage named."""

from __future__ import annotations

from pathlib import Path

import pytest
from rocksdict import Cache

from schemas.errors import Fatal
from streams.agents.runtime.marker import Marker, Standing
from streams.agents.runtime.store import PartitionStore

MARKER = Marker(epoch=3, nonce=1, unit=2, base=-1, inputs={}, outputs={}, fingerprint=b"f", memo=b"m", owed=(b"k",))


def test_what_is_settled_is_there_after_reopening_with_where_it_stands(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", Cache(1 << 20))
    standing = Standing(marker=MARKER, offset=41, redo=frozenset({b"r"}))
    store.settle({b"a2": b"2", b"a1": b"1", b"b": b"3"}, Standing())
    store.settle({b"b": None}, standing)
    store.close()
    again = PartitionStore(tmp_path / "0", Cache(1 << 20))
    assert list(again.scan(b"a")) == [(b"a1", b"1"), (b"a2", b"2")]
    assert list(again.scan(b"a", b"a2")) == [(b"a2", b"2")]
    assert [key for key, _ in again.scan(b"")] == [b"a1", b"a2"]
    assert again.get(b"b") is None
    assert again.standing() == standing
    again.wipe()
    assert again.standing() == Standing()
    assert list(again.scan(b"")) == []
    again.close()


@pytest.mark.parametrize("expected", [100, 50_000], ids=["few", "bulk"])
def test_what_is_restored_is_there_with_where_it_stands_and_the_store_is_as_before(
    tmp_path: Path, expected: int
) -> None:
    store = PartitionStore(tmp_path / "0", Cache(1 << 20))
    store.settle({b"old": b"1", b"gone": b"1"}, Standing())
    with store.restoring(expected) as apply:
        for unit in range(200):
            changes = {b"k%d" % number: b"%d" % unit * 30 for number in range(unit, unit + 250)}
            apply({**changes, b"gone": None}, Standing(marker=MARKER, offset=unit))
    for _ in range(2):
        assert (store.get(b"old"), store.get(b"gone")) == (b"1", None)
        assert store.get(b"k199") == b"199" * 30
        assert len(list(store.scan(b"k"))) == 449
        assert store.standing() == Standing(marker=MARKER, offset=199)
        store.settle({b"k199": b"new"}, Standing(marker=MARKER, offset=199))
        assert store.get(b"k199") == b"new"
        store.settle({b"k199": b"199" * 30}, Standing(marker=MARKER, offset=199))
        store.close()
        store = PartitionStore(tmp_path / "0", Cache(1 << 20))
    store.close()


@pytest.mark.parametrize("expected", [100, 50_000], ids=["few", "bulk"])
def test_a_restoring_that_fails_leaves_a_store_that_stands_where_it_says(tmp_path: Path, expected: int) -> None:
    store = PartitionStore(tmp_path / "0", Cache(1 << 20))

    def restore() -> None:
        with store.restoring(expected) as apply:
            for unit in range(100):
                apply({b"k%d" % unit: b"x" * 50_000}, Standing(marker=MARKER, offset=unit))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        restore()
    found = len(list(store.scan(b"k")))
    assert found < 100
    assert store.standing().offset == found - 1
    store.close()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Fatal, match=str(tmp_path / "file")):
        PartitionStore(tmp_path / "file" / "0", Cache(1 << 20))
