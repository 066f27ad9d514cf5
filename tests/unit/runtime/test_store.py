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


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Fatal, match=str(tmp_path / "file")):
        PartitionStore(tmp_path / "file" / "0", Cache(1 << 20))
