"""Topics and contracts against the real broker and registry."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from onhand.settings import Settings
from schemas import contract
from schemas.administration import apply, ensure_source_topics, plan
from schemas.codec import Codec
from schemas.contract import CONTRACTS_DIR, schema_of, schema_text
from schemas.errors import EXIT_DIFFERENCES, EXIT_ENVIRONMENT, EXIT_INVALID, EnvironmentFault, InvalidInput
from schemas.reader import newest, read_topic
from schemas.records import Shipment
from schemas.registry import Registry
from streams.connect.folder import source_names
from tests.stack import RunningStack

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0


@pytest.fixture
def settings(stack: RunningStack) -> Settings:
    """Of the stack, with every topic and contract in place."""
    settings = stack.settings()
    apply(**_arguments(settings))
    return settings


@pytest.fixture
def codec(settings: Settings) -> Codec:
    with Registry(settings.registry_url) as registry:
        return Codec.connected(registry)


def _arguments(settings: Settings) -> dict[str, Any]:
    return {
        "kafka": settings.kafka,
        "registry_url": settings.registry_url,
        "partitions": settings.partitions,
        "replication": settings.replication,
        "sources": source_names(settings.connect_configs),
    }


def onhand(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {
        "ONHAND_KAFKA": settings.kafka,
        "ONHAND_REGISTRY_URL": settings.registry_url,
        "ONHAND_PARTITIONS": str(settings.partitions),
        "NO_COLOR": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "onhand.cli.main", *arguments],
        env={**os.environ, **own, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def promise(codec: Codec, sku: str, version: int, available: str) -> bytes:
    """A promise like the example's, of a sku of the test's own."""
    document = json.loads((CONTRACTS_DIR / "inventory.atp.v1" / "examples" / "promise-by-date.json").read_text())
    document["network"]["available_now"] = available
    record = contract.RECORDS["inventory.atp.v1"]
    return codec.encode(
        "inventory.atp.v1", msgspec.convert({**document, "sku": sku, "version": version}, record, strict=False)
    )


def test_apply_twice_changes_nothing_and_plan_says_so(settings: Settings) -> None:
    assert apply(**_arguments(settings)) == []
    assert plan(**_arguments(settings)) == []
    planned = onhand(settings, "topics", "plan")
    assert (planned.returncode, planned.stdout.strip()) == (0, "nothing to do")


def test_a_setting_changed_by_hand_is_put_back(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    entry = ConfigEntry("retention.ms", "1000000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, "onhand.order-part.v1", incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(DEADLINE_S)
    _until(lambda: plan(**_arguments(settings)) != [])
    shown = onhand(settings, "topics", "plan", "--json")
    assert shown.returncode == EXIT_DIFFERENCES
    assert json.loads(shown.stdout)[0]["detail"] == "retention.ms: 1000000 → 604800000"
    assert [change.action for change in apply(**_arguments(settings))] == ["alter"]
    _until(lambda: plan(**_arguments(settings)) == [])


def test_another_number_of_partitions_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match=r"order\.v1 has \d+ partitions, 7 are wanted; keys would move"):
        apply(**{**_arguments(settings), "partitions": 7})


@pytest.fixture
def edited_contract(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the contracts that a test may spoil."""
    copy = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_DIR, copy)
    monkeypatch.setattr(contract, "CONTRACTS_DIR", copy)
    schema_text.cache_clear()
    yield copy
    schema_text.cache_clear()


def test_an_incompatible_contract_is_refused_by_the_registry_and_the_field_named(
    settings: Settings, edited_contract: Path
) -> None:
    path = edited_contract / "item.v1" / "schema.avsc"
    schema = schema_of("item.v1")
    next(field for field in schema["fields"] if field["name"] == "version")["type"] = "string"
    path.write_text(json.dumps(schema))
    schema_text.cache_clear()
    with Registry(settings.registry_url) as registry:
        before = registry.versions("item.v1")
        with pytest.raises(InvalidInput, match=r"item\.v1 is not FULL_TRANSITIVE .* version: long was written, string"):
            registry.register("item.v1")
        with pytest.raises(InvalidInput, match=r"contract of item\.v1: .*version"):
            apply(**_arguments(settings))
        assert registry.versions("item.v1") == before
        assert registry.compatibility("item.v1") == "FULL_TRANSITIVE"


def test_an_unregistered_contract_stops_the_start(settings: Settings, edited_contract: Path) -> None:
    schema = schema_of("item.v1")
    name = f"added_{uuid.uuid4().hex[:8]}"
    schema["fields"].append({"name": name, "type": ["null", "string"], "default": None, "doc": "not registered"})
    (edited_contract / "item.v1" / "schema.avsc").write_text(json.dumps(schema))
    schema_text.cache_clear()
    with (
        Registry(settings.registry_url) as registry,
        pytest.raises(EnvironmentFault, match=r"item\.v1 is not registered; run `onhand topics apply`"),
    ):
        Codec.connected(registry)


def test_a_contract_whose_words_changed_is_still_registered(settings: Settings, edited_contract: Path) -> None:
    """The registry keeps the id of a schema that differs in its docs alone."""
    schema = schema_of("item.v1")
    schema["doc"] = f"changed {uuid.uuid4()}"
    (edited_contract / "item.v1" / "schema.avsc").write_text(json.dumps(schema))
    schema_text.cache_clear()
    assert [change for change in plan(**_arguments(settings)) if change.subject == "item.v1"] == []
    with Registry(settings.registry_url) as registry:
        Codec.connected(registry)


def test_a_registry_that_is_down_is_tried_for_a_while_and_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    said: list[str] = []
    with (
        Registry(url, wait_s=1.5, progress=said.append) as registry,
        pytest.raises(EnvironmentFault, match=r"does not answer .*start it"),
    ):
        Codec.connected(registry)
    assert len(said) >= 2
    assert url in said[0]


@pytest.mark.parametrize(
    "command",
    ["exceptions list", "channel status", "topics read inventory.atp.v1", "topics apply", "source explain sku A1"],
)
def test_a_command_asks_a_registry_that_is_down_once(settings: Settings, command: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    answer = onhand(settings, *command.split(), ONHAND_REGISTRY_URL=url)
    assert answer.returncode == EXIT_ENVIRONMENT
    (line,) = answer.stderr.splitlines()
    assert line.startswith(f"onhand: schema registry {url} does not answer (ConnectionError); start it")


def test_a_broker_that_is_down_is_named(settings: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    answer = onhand(settings, "topics", "list", ONHAND_KAFKA=address)
    assert answer.returncode == EXIT_ENVIRONMENT
    assert answer.stderr.strip().startswith(f"onhand: Kafka {address} does not answer")


def test_what_is_read_was_written(settings: Settings, codec: Codec) -> None:
    key, topic = f"SHP-{uuid.uuid4()}", "shipment.v1"
    producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"})
    shipments = [Shipment(shipment_id=key, version=version, order_id="SO-1", number="77") for version in (1, 2)]
    for value in [*(codec.encode(topic, known) for known in shipments), b"nonsense"]:
        producer.produce(topic, key=key, value=value)
    assert producer.flush(DEADLINE_S) == 0
    records = list(read_topic(settings.kafka, topic, codec, key=key))
    assert [record.value for record in records] == [*shipments, None]
    assert "schema id" in str(records[2].error)
    producer.produce(topic, key=key, value=None)
    assert producer.flush(DEADLINE_S) == 0
    shown = onhand(settings, "topics", "read", topic, "--key", key, "--json")
    documents = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [document.get("tombstone") for document in documents] == [False, False, None, True]
    assert documents[0]["value"]["number"] == "77"
    people = onhand(settings, "topics", "read", topic, "--key", key).stdout
    assert "deleted (tombstone)" in people
    assert "cannot be decoded" in people
    assert newest(read_topic(settings.kafka, topic, codec, key=key)) == []
    unknown = onhand(settings, "topics", "read", "no.such.topic")
    assert unknown.returncode == EXIT_INVALID
    assert "has no topic no.such.topic" in unknown.stderr


def test_the_documented_consumer_reads_a_promise(settings: Settings, codec: Codec) -> None:
    """docs/subscribe.md holds this very program."""
    root = Path(__file__).parents[2]
    path = root / "schemas" / "examples" / "consumer.py"
    assert path.read_text().rstrip() in (root / "docs" / "subscribe.md").read_text()
    sku = f"sku-{uuid.uuid4()}"
    producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"})
    for version, available in ((2, "8.25"), (1, "99"), (3, "7")):
        producer.produce("inventory.atp.v1", key=sku, value=promise(codec, sku, version, available))
    producer.produce("inventory.atp.v1", key=sku, value=None)
    assert producer.flush(DEADLINE_S) == 0
    command = [sys.executable, str(path), settings.kafka, settings.registry_url, f"group-{uuid.uuid4()}"]
    seen = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.alarm(int(DEADLINE_S))
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(sku):
                    seen.append(line.removeprefix(sku).strip())
                if line.startswith(f"{sku} is gone"):
                    break
        finally:
            signal.alarm(0)
            process.kill()
    assert seen == ["8.250000000 available to promise", "7.000000000 available to promise", "is gone"]


def test_source_topics_are_made_once_with_one_partition(settings: Settings) -> None:
    source = f"s{uuid.uuid4().hex[:8]}"
    names: dict[str, Any] = {"signal_topic": f"{source}.signal", "history_topic": f"{source}.schema-history"}
    try:
        made = ensure_source_topics(settings.kafka, source, **names)
        assert [change.subject for change in made] == [f"cdc.{source}", f"{source}.signal", f"{source}.schema-history"]
        assert all(change.detail.startswith("1 partitions") for change in made)
        assert "retention.ms=-1" in made[2].detail
        _until(lambda: ensure_source_topics(settings.kafka, source, **names) == [])
    finally:
        admin = AdminClient({"bootstrap.servers": settings.kafka})
        for future in admin.delete_topics([f"cdc.{source}", *names.values()]).values():
            future.result(DEADLINE_S)


def _until(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "not so within a minute"
