"""Faults that reach into databases, logs and file systems."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from onhand.demo import databases as db
from tests.campaign.observe import await_condition
from tests.campaign.rig import START_S, Rig
from tests.campaign.scenario import Step
from tests.faults.chain import write_record

SLOT = "onhand_erp"
POISON = b"\xff\xfe this is no record of Debezium"
FIRST_LARGE = 10_000_000
"""Numbers of purchase lines and transfers from here on are a large transaction's."""
SLICE = 100_000
LARGE_S = 400.0
"""How long all of them may take to be in every promise, on a machine that does other things too."""
DISK = "160m"
KAFKA_DISK = "1500m"


# ---------------------------------------------------------------- what Connect must go on from


@contextmanager
def slot_dropped(rig: Rig, step: Step) -> Iterator[None]:
    """Connect is held meanwhile, so that it cannot take the slot again; at the end a person reads the source anew."""
    connect = rig.system.stack.process("connect")
    connect.stop()
    try:
        with db.connect_erp(rig.system.erp) as erp:
            erp.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
            rig.wait("the slot to be let go", lambda: _dropped(erp))
    finally:
        connect.cont()
    yield
    _read_anew(rig, "erp")


def _dropped(erp: psycopg.Connection[Any]) -> bool:
    """The walsender that was ended may hold it for a moment."""
    try:
        erp.execute("SELECT pg_drop_replication_slot(%s)", [SLOT])
    except psycopg.errors.ObjectInUse:
        return False
    return True


@contextmanager
def binlog_purged(rig: Rig, step: Step) -> Iterator[None]:
    """While nobody reads it, the binlog moves on and what was not read is deleted; a person reads the source anew."""
    rig.system.stack.stop("connect", grace_s=0)
    await_condition(rig, "business:60")
    for statement in ("FLUSH BINARY LOGS", "FLUSH BINARY LOGS"):
        rig.wms(statement)
    newest = str(rig.wms("SHOW BINARY LOGS")[-1][0])
    rig.wait("the old binlogs to go", lambda: _purged(rig, newest))
    rig.system.stack.start_component("connect")
    yield
    _read_anew(rig, "wms")


def _purged(rig: Rig, newest: str) -> bool:
    rig.wms(f"PURGE BINARY LOGS TO '{newest}'")  # the dead connector's dump thread may hold one for a moment
    return str(rig.wms("SHOW BINARY LOGS")[0][0]) == newest


@contextmanager
def resnapshot(rig: Rig, step: Step) -> Iterator[None]:
    rig.person("source", "resnapshot", step.target)
    yield


def _read_anew(rig: Rig, source: str) -> None:
    rig.person("source", "resnapshot", source)
    await_condition(rig, f"swept:{source}")


# ---------------------------------------------------------------- poison


@contextmanager
def poison(rig: Rig, step: Step) -> Iterator[None]:
    """Nobody can say whose bytes they are: the source is uncertain until a person has looked."""
    write_record(rig, step.target, None, POISON)
    found = rig.exception("poison-record")
    yield
    rig.person("exceptions", "close", found.id, "--why", "the campaign wrote it")
    rig.closed(found.id)


# ---------------------------------------------------------------- large transactions


@contextmanager
def large_transaction(rig: Rig, step: Step) -> Iterator[None]:
    """Purchase lines of the ERP, transfers of the WMS; due far beyond the horizon, over every item."""
    _insert(rig, step.target, FIRST_LARGE, step.numbers["rows"])
    yield


@contextmanager
def without_large_rows(rig: Rig, step: Step) -> Iterator[None]:
    """Afterwards they go again, in one transaction too, and the chain follows; the judge's patience is for less."""
    try:
        yield
    finally:
        if step.target == "erp":
            rig.erp("DELETE FROM erp.purlin WHERE plpono >= %s", FIRST_LARGE)
        else:
            rig.wms("DELETE FROM transfer WHERE trf_id >= %s", FIRST_LARGE)
    assert rig.differences(LARGE_S) == []


@contextmanager
def with_large_rows(rig: Rig, step: Step) -> Iterator[None]:
    """They are there from the beginning, promised and told; afterwards they go."""
    with without_large_rows(rig, step):
        for first in range(0, step.numbers["rows"], SLICE):
            _insert(rig, step.target, FIRST_LARGE + first, SLICE)
        assert rig.differences(LARGE_S) == []
        yield


def _insert(rig: Rig, source: str, first: int, rows: int) -> None:
    last = first + rows - 1
    if source == "erp":
        rig.erp(
            "INSERT INTO erp.purlin SELECT n, 1, 'V00001', item.itnum, 'W1', 100, 0, 10, 2031, 5, 17 "
            "FROM generate_series(%s::int, %s::int) n "
            "JOIN (SELECT itnum, row_number() OVER (ORDER BY itnum) - 1 AS place, count(*) OVER () AS items "
            "FROM erp.itmast) item ON item.place = n %% item.items",
            first,
            last,
        )
    else:
        items = int(rig.wms("SELECT COUNT(*) FROM item")[0][0])
        rig.wms(
            "INSERT INTO transfer (trf_id, item_id, from_wh, to_wh, qty, status, eta) "
            f"SELECT seq, 1 + seq %% {items}, 1, 2, 1, 1, '2031-05-17' FROM seq_{first}_to_{last} WHERE %s",
            True,
        )


# ---------------------------------------------------------------- disks


@contextmanager
def on_small_disk(rig: Rig, step: Step) -> Iterator[None]:
    """Its state, as it is, lies on a file system of its own meanwhile."""
    place = rig.state_of(step.target)
    beside = place.with_name(f"{place.name}.large")
    _stop(rig, step.target)
    place.rename(beside)
    place.mkdir()
    size = KAFKA_DISK if step.target == "kafka" else DISK
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        _copy(beside, place)
        _start(rig, step.target)
        rig.wait("everything to work", rig.all_work, START_S)
        yield
    finally:
        _stop(rig, step.target)
        shutil.rmtree(beside)
        beside.mkdir()
        _copy(place, beside)
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()
        beside.rename(place)
        _start(rig, step.target)


@contextmanager
def disk_full(rig: Rig, step: Step) -> Iterator[None]:
    """A file takes all the space there is."""
    ballast = rig.state_of(step.target) / ".ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 12)):
            pass
    try:
        yield
    finally:
        ballast.unlink()


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)


def _stop(rig: Rig, name: str) -> None:
    rig.system.stack.stop(name)


def _start(rig: Rig, name: str) -> None:
    if name == "kafka":
        rig.system.stack.start_component(name)
    else:
        rig.system.start_process(name)
