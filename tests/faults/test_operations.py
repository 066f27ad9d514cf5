"""The procedures of docs/operations.md, by their own commands, on the running chain.

Afterwards the `chain` fixture finds every process well, the audit empty and no version told backwards.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import requests
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from onhand.demo.system import PROCESSES
from onhand.demo.traffic import Traffic
from onhand.health import HOST, ask_health, health_file
from onhand.metrics.catalogue import Kind, Type, metrics_of
from onhand.settings import Settings
from onhand.stack.component import Command
from onhand.stack.local import settings_environment
from onhand.stack.process import Process
from schemas.errors import EXIT_OK, EXIT_RUNTIME
from schemas.records import Publication
from schemas.registry import connected_codec
from sinks.core.ledger import WITHDRAWN
from sinks.workers import wire
from tests.faults.chain import Chain, Done

pytestmark = pytest.mark.integration

KINDS = {"source": Kind.LANE, "inventory": Kind.STAGE, "orders": Kind.STAGE, "channel": Kind.CHANNEL}
BY_PREFIX = {**KINDS, "metrics": Kind.METRICS, "watch": Kind.WATCH}
PARTITIONS = 6
"""More than the chain begins with."""


def works(chain: Chain, name: str) -> bool:
    health = chain.health(name)
    return bool(health["healthy"] and health.get("ready", True))


def unwell(chain: Chain, name: str) -> bool:
    return not chain.health(name)["healthy"]


def busier(traffic: Traffic, than: int) -> bool:
    """More business was done."""
    return traffic.schedule.counts.total() > than


def restarts(chain: Chain, name: str) -> int:
    """By the supervisor."""
    return next(row.restarts for row in chain.system.stack.rows() if row.name == name)


def wait_until_all_work(chain: Chain) -> None:
    for name in PROCESSES:
        chain.wait(f"{name} to work", partial(works, chain, name))


def done(result: Done) -> Done:
    assert result.code == EXIT_OK, result.text
    return result


def whole(chain: Chain) -> bool:
    """Lanes, inventory and orders have every source whole."""
    stages = json.loads(chain.command("status", "--json").out)["stages"]
    ours = [stage for stage in stages if not stage["stage"].startswith("channel-")]
    return bool(ours) and all(stage["complete"] and not stage["holding"] for stage in ours)


@contextmanager
def nothing_taken_back(chain: Chain) -> Iterator[None]:
    """Nobody needs to pause the channel: what inventory has not said again yet is not told as gone."""
    since_us = time.time_ns() // 1000
    yield
    chain.wait("every stage to have every source whole", lambda: whole(chain))
    chain.wait("the channel to judge everything", lambda: chain.health("channel-shop").get("withheld") == 0)
    assert taken_back(chain.system.settings, since_us) == set()


def taken_back(settings: Settings, since_us: int) -> set[str]:
    """Items that the channels were told are gone."""
    consumer, codec = wire.consumer(settings.kafka, "test-taken-back"), connected_codec(settings.registry_url)
    found = set()
    try:
        places = dict.fromkeys((wire.PUBLICATION, at) for at in wire.partitions_of(consumer, wire.PUBLICATION))
        for record in wire.read_to_end(consumer, places):
            told = codec.decode(record.topic, record.value) if record.value is not None else None
            if isinstance(told, Publication) and told.cause == WITHDRAWN and (told.sent_us or 0) >= since_us:
                found.add(told.key)
    finally:
        consumer.close()
    return found


def test_each_process_exposes_what_the_catalogue_says(chain: Chain) -> None:
    for name in PROCESSES:
        chain.wait(f"{name} to work", partial(works, chain, name))
        port = int(health_file(chain.system.settings.data_dir, name).read_text())
        answer = requests.get(f"http://{HOST}:{port}/metrics", timeout=10)
        assert answer.status_code == 200
        families = {one.name: one for one in text_string_to_metric_families(answer.text)}
        wanted = metrics_of(BY_PREFIX[name.partition("-")[0]])
        ours = {each for each in families if each.startswith("onhand_")}
        assert ours == {one.name.removesuffix("_total") if one.type is Type.COUNTER else one.name for one in wanted}
        assert "process_cpu_seconds" in families
        for one in wanted:
            for sample in families[one.name.removesuffix("_total")].samples:
                assert set(sample.labels) - {"le"} == {"process", *one.labels}
                assert sample.labels["process"] == name
    status = chain.command("status")
    assert "nothing is red" in status.out, status.out
    assert status.code == EXIT_OK
    port = int(health_file(chain.system.settings.data_dir, "watch").read_text())
    (targets,) = requests.get(f"http://{HOST}:{port}/targets", timeout=10).json()
    assert len(targets["targets"]) == len(PROCESSES)


def test_nobody_is_well_without_kafka(chain: Chain) -> None:
    chain.system.stack.stop("kafka")
    try:
        for name in PROCESSES:
            chain.wait(f"{name} not to be well", partial(unwell, chain, name))
        status = chain.command("status")
        assert status.code == EXIT_RUNTIME
        assert status.out.startswith("red"), status.out
    finally:
        chain.system.stack.start_component("kafka")
    wait_until_all_work(chain)


def test_a_rolling_restart_under_traffic(chain: Chain) -> None:
    with chain.traffic() as traffic:
        for name in PROCESSES:
            chain.system.stack.stop(name)
            chain.system.start_process(name)
            chain.wait(f"{name} to work", partial(works, chain, name))
            chain.wait("business", partial(busier, traffic, traffic.schedule.counts.total()))
    wait_until_all_work(chain)


def test_a_lane_moves_to_another_process(chain: Chain) -> None:
    """A second process stands by; when the first is stopped it goes on, and back again."""
    settings = chain.system.settings.model_copy(update={"instance": "1"})
    command = Command(
        argv=(sys.executable, "-m", "onhand.cli.main", "run", "source", "erp"),
        cwd=chain.project,
        environment=settings_environment(settings),
    )
    with chain.traffic():
        second = Process("source-erp@1", command, settings.data_dir / "logs" / "source-erp@1.log")
        try:
            chain.wait("the second to stand by", lambda: ask_health(settings.data_dir, "source-erp@1")["healthy"])
            assert not ask_health(settings.data_dir, "source-erp@1")["ready"]
            chain.system.stack.stop("source-erp")
            chain.wait("the second to go on", lambda: works(chain, "source-erp@1"))
            units = chain.health("source-erp@1")["records"]
            chain.wait("it to fold records", lambda: chain.health("source-erp@1")["records"] > units)
            chain.system.start_process("source-erp")
        finally:
            second.end(15.0)
        chain.wait("the first to go on", lambda: works(chain, "source-erp"))


def test_a_database_is_restored_from_a_backup(chain: Chain, tmp_path: Path) -> None:
    """What was committed after the backup is gone in the database, and so it is in the promise."""
    stack = chain.system.stack
    data = (chain.system.settings.data_dir / "postgres").resolve()
    sku = chain.stocked(1)[0]
    before = chain.promises(sku)
    stack.stop("postgres")
    shutil.copytree(data, tmp_path / "backup", symlinks=True, copy_function=shutil.copy2)
    stack.start_component("postgres")
    chain.wait("the source to be read again", lambda: chain.command("source", "status", "erp").code == EXIT_OK)
    chain.line(sku, 3)
    chain.wait("the order to be promised", lambda: chain.promises(sku) == before - 3)

    done(chain.command("source", "stop", "erp"))
    stack.stop("postgres")
    owner = data.stat()
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "backup", data, symlinks=True, copy_function=shutil.copy2)
    for place in (data, *data.rglob("*")):
        if not place.is_symlink():
            shutil.chown(place, owner.st_uid, owner.st_gid)
    data.chmod(0o700)
    stack.start_component("postgres")
    done(chain.command("source", "resnapshot", "erp"))
    chain.wait("the order to be gone", lambda: chain.promises(sku) == before)
    chain.line(sku, 1)
    chain.wait("the next order to be promised", lambda: chain.promises(sku) == before - 1)


def test_topics_and_the_state_that_rests_on_them_are_lost(chain: Chain) -> None:
    """The watch asks the lanes to say everything again; nothing is promised of what is heard in part."""
    lost = ["onhand.balance.v1", "inventory.atp.v1"]
    with nothing_taken_back(chain):
        chain.system.stack.stop("inventory")
        admin = AdminClient({"bootstrap.servers": chain.system.settings.kafka})
        for future in admin.delete_topics(lost).values():
            future.result()
        chain.wait("the topics to be gone", lambda: not set(lost) & set(admin.list_topics().topics))
        assert "create" in done(chain.command("topics", "apply")).out
        done(chain.command("stage", "reset", "inventory", "--yes"))
        chain.system.start_process("inventory")
        wait_until_all_work(chain)
        chain.wait("inventory to miss something", lambda: not whole(chain))


def test_the_canonical_topics_get_more_partitions(chain: Chain) -> None:
    """The metrics worker is left running: it finds them, and is started again."""
    refused = chain.command("stage", "grow", str(PARTITIONS), "--yes")
    assert "inventory" in refused.err
    others = [name for name in PROCESSES if name != "metrics"]
    began = restarts(chain, "metrics")
    with nothing_taken_back(chain):
        for name in others:
            chain.system.stack.stop(name)
        done(chain.command("stage", "grow", str(PARTITIONS), "--yes"))
        again = done(chain.command("stage", "grow", str(PARTITIONS), "--yes"))
        assert "deleted" not in again.err
        chain.system.override(partitions=PARTITIONS)
        chain.wait("nothing to be left to do", lambda: chain.command("topics", "plan").code == EXIT_OK)
        for name in others:
            chain.system.start_process(name)
        chain.wait("metrics to begin anew", lambda: restarts(chain, "metrics") > began)
        wait_until_all_work(chain)
    told = chain.system.shop.webhooks
    chain.line(chain.stocked(1)[0], 1)
    chain.wait("the shop to be told more", lambda: chain.system.shop.webhooks > told)
