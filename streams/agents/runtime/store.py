"""The local state: one RocksDB per partition, written once per unit, together with where it stands.

The changelog is the truth.  The store is a copy of it up to one marker, so it needs no sync to disk: after a crash of
the machine it stands at an older marker and is brought forward from there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from faust.stores.base import Store
from rocksdict import (
    BlockBasedOptions,
    Cache,
    MemtableFactory,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from schemas.errors import Fatal
from streams.agents.runtime.marker import Changes, Standing, decode_standing, encode_standing
from streams.agents.runtime.recovery import Apply

STANDING_KEY = b"\0standing"
ORIGIN_KEY = b"\0origin"

BULK_RECORDS = 20_000
"""More than this to restore is written in bulk: opening the store twice costs less."""

BULK_BUFFER_BYTES = 8 << 20
RESTORE_BATCH_BYTES = 1 << 20


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Which changelog the copy was made from, and when it was last written."""

    changelog_id: str
    written_s: int


class PartitionStore:
    """State of one partition on disk.  Raises Fatal, naming the directory, when it cannot be read or written."""

    def __init__(self, path: Path, cache: Cache) -> None:
        self.path = path
        self._cache = cache
        self._open(bulk=False)

    def _open(self, *, bulk: bool) -> None:
        """`bulk`: for writing a great deal without reading; what a crash takes of it is its end."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(BULK_BUFFER_BYTES if bulk else 16 << 20)
        options.set_max_write_buffer_number(3 if bulk else 2)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(1 << 20)
        if bulk:
            options.set_memtable_factory(MemtableFactory.vector())  # sorted when it is full, by another thread
            options.set_allow_concurrent_memtable_write(False)
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_bloom_filter(10, False)
        options.set_block_based_table_factory(table)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # without its options named, an existing column family is opened with those it was made with
            self._db = Rdict(str(self.path), options, {"default": options} if self._made else None)
        except Exception as error:
            raise self._failed("open", error) from error
        self._get = self._db.get

    @property
    def _made(self) -> bool:
        return (self.path / "CURRENT").exists()

    @contextmanager
    def restoring(self, records: int) -> Iterator[Apply]:
        """Takes closed units, many in one write; `records` is about how many are to come.  Nothing may be read."""
        bulk = records >= BULK_RECORDS
        if bulk:
            self._db.close()
            self._open(bulk=True)
        restore = Restore(self._write, without_log=bulk)
        try:
            yield restore.apply
            restore.write()
            if bulk:
                self._flush()
        finally:
            if bulk:
                self._db.close()
                self._open(bulk=False)

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._get(key)
        except Exception as error:
            raise self._failed("read", error) from error
        return value

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key begins with `prefix`, key ≥ `start`, ascending, as of the call; never the runtime's own."""
        iterator = self._db.iter(ReadOptions())
        iterator.seek(max(prefix, start, b"\1"))
        while iterator.valid():
            key = iterator.key()
            if not key.startswith(prefix):
                return
            yield key, iterator.value()
            iterator.next()

    def standing(self) -> Standing:
        raw = self.get(STANDING_KEY)
        return Standing() if raw is None else decode_standing(raw)

    def origin(self) -> Origin | None:
        raw = self.get(ORIGIN_KEY)
        return None if raw is None else msgspec.msgpack.decode(raw, type=Origin)

    def begin(self, changelog_id: str) -> None:
        """Note, while nothing is written yet or at each take-over, which changelog this copies."""
        batch = WriteBatch(raw_mode=True)
        batch.put(ORIGIN_KEY, msgspec.msgpack.encode(Origin(changelog_id, int(time.time()))))
        self._write(batch)

    def settle(self, changes: Changes, standing: Standing) -> None:
        """Changes and standing in one write: both or neither."""
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in changes.items():
            if value is None:
                delete(key)
            else:
                put(key, value)
        put(STANDING_KEY, encode_standing(standing))
        self._write(batch)

    def size(self) -> int:
        """Bytes on disk, its write-ahead log included; from any thread."""
        try:
            return sum(entry.stat().st_size for entry in os.scandir(self.path))
        except OSError:
            return 0  # a file was compacted away, or the store wiped, under our eyes

    def wipe(self) -> None:
        """Forget everything; the changelog brings it back."""
        self._db.close()
        shutil.rmtree(self.path)
        self._open(bulk=False)

    def close(self) -> None:
        self._db.close()

    def _write(self, batch: WriteBatch, options: WriteOptions | None = None) -> None:
        try:
            self._db.write(batch, options)
        except Exception as error:
            raise self._failed("write", error) from error

    def _flush(self) -> None:
        try:
            self._db.flush()
        except Exception as error:
            raise self._failed("write", error) from error

    def _failed(self, what: str, error: Exception) -> Fatal:
        return Fatal(
            f"local state {self.path}: cannot {what}: {error}. Nothing is lost: free space or mend the directory "
            "(deleting it is safe, it is rebuilt from the changelog) and start again"
        )


class Restore:
    """Units of a changelog on their way into a store: a write holds many small ones, and where the last one stands."""

    def __init__(self, write: Callable[[WriteBatch, WriteOptions], None], *, without_log: bool) -> None:
        self._write = write
        self._options = WriteOptions()
        self._options.disable_wal = without_log  # type: ignore[method-assign, assignment]
        self._batch = WriteBatch(raw_mode=True)
        self._standing: Standing | None = None

    def apply(self, changes: Changes, standing: Standing) -> None:
        """Takes one unit."""
        put = self._batch.put
        for key, value in changes.items():
            if value is None:
                self._batch.delete(key)
            else:
                put(key, value)
        self._standing = standing
        if self._batch.size_in_bytes() > RESTORE_BATCH_BYTES:
            self.write()

    def write(self) -> None:
        """Writes what has been taken."""
        if self._standing is None:
            return
        self._batch.put(STANDING_KEY, encode_standing(self._standing))
        self._write(self._batch, self._options)
        self._batch = WriteBatch(raw_mode=True)
        self._standing = None


class RowStore(Store):  # type: ignore[type-arg]
    """Faust store `rows://`: holds the partition stores of one table.  Its directory belongs to one process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cache = Cache(int((self.options or {}).get("block_cache_bytes", 64 << 20)))
        self._open: dict[int, PartitionStore] = {}

    def partition(self, partition: int) -> PartitionStore:
        """The store of one partition, opened when it is first asked for."""
        store = self._open.get(partition)
        if store is None:
            path = Path(os.fspath(self.app.conf.tabledir)) / self.table_name / str(partition)
            store = self._open[partition] = PartitionStore(path, self._cache)
        return store

    def close_partition(self, partition: int) -> None:
        if (store := self._open.pop(partition, None)) is not None:
            store.close()

    # What Faust asks of a store.  Recovery and writing go through PartitionStore, so most of it is never used.

    def persisted_offset(self, tp: Any) -> int | None:
        return None

    def set_persisted_offset(self, tp: Any, offset: int) -> None:
        raise NotImplementedError("a unit settles its standing with its changes")

    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> None:
        for _ in batch:
            raise NotImplementedError("the owner of a partition recovers it, see streams.agents.runtime.owner")

    def reset_state(self) -> None:
        """Nothing is kept outside the partition stores."""

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        raise NotImplementedError("the changelog is the backup")

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        raise NotImplementedError("the changelog is the backup")

    async def on_stop(self) -> None:
        for partition in list(self._open):
            self.close_partition(partition)
