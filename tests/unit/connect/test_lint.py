"""Lint: the demo's files are clean, and one bad file per rule is found under its code and line."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from schemas.errors import EXIT_INVALID, InvalidInput
from streams.connect.apply import Cluster, apply_source
from streams.connect.catalogue import session
from streams.connect.drift import drift_findings
from streams.connect.findings import Severity
from streams.connect.folder import read_source
from streams.connect.lint import RULES, lint
from streams.connect.plan import plan
from streams.connect.preflight import Target, preflight
from tests.unit.connect.sources import CONFIGS, VARIABLES, changed, demo_config, write_folder

BAD: list[tuple[str, str, dict[str, str | None]]] = [
    ("E01", "erp", {"database.password": "geheim"}),
    ("E01", "erp", {"database.password": "x${env:ONHAND_SECRET_ERP}"}),
    ("E01", "erp", {"producer.override.sasl.jaas.config": 'Plain required username="a" password="b";'}),
    ("E02", "erp", {"errors.tolerance": "all"}),
    ("E03", "erp", {"slot.drop.on.stop": "true"}),
    ("E04", "erp", {"plugin.name": "decoderbufs"}),
    ("E04", "erp", {"plugin.name": None}),
    ("E05", "erp", {"publication.autocreate.mode": "filtered"}),
    ("E05", "erp", {"publication.autocreate.mode": None}),
    ("E06", "erp", {"heartbeat.interval.ms": "0"}),
    ("E06", "wms", {"heartbeat.interval.ms": None}),
    ("E06", "wms", {"heartbeat.interval.ms": "60000"}),
    ("E07", "erp", {"heartbeat.action.query": None}),
    ("E07", "erp", {"heartbeat.action.query": "SELECT 1"}),
    ("E07", "wms", {"heartbeat.action.query": "UPDATE other_table SET ts = NOW(6)"}),
    ("E08", "erp", {"snapshot.mode": "when_needed"}),
    ("E08", "wms", {"snapshot.mode": "no_data"}),
    ("E10", "erp", {"tasks.max": "2"}),
    ("E11", "erp", {"max.queue.size": "2048"}),
    ("E13", "erp", {"value.converter": "io.apicurio.registry.utils.converter.AvroConverter"}),
    ("E13", "wms", {"key.converter.schemas.enable": None}),
    ("E14", "erp", {"decimal.handling.mode": "double"}),
    ("E14", "erp", {"time.precision.mode": "connect"}),
    ("E14", "wms", {"bigint.unsigned.handling.mode": "precise"}),
    ("E15", "erp", {"heartbeat.intervall.ms": "1000"}),
    ("E15", "wms", {"slot.name": "erp"}),
    ("E15", "wms", {"transforms.two.regex": ".*"}),
    ("E16", "wms", {"schema.history.internal.skip.unparseable.ddl": "true"}),
    ("E17", "erp", {"skipped.operations": None}),
    ("E18", "erp", {"exactly.once.support": "required"}),
    ("E19", "erp", {"offset.mismatch.strategy": None}),
    ("E20", "erp", {"transforms.one.replacement": "cdc.other"}),
    ("E20", "erp", {"transforms.one.regex": "erp.*"}),
    ("E21", "erp", {"tombstones.on.delete": "true"}),
    ("E21", "erp", {"provide.transaction.metadata": None}),
    ("E21", "wms", {"producer.override.max.in.flight.requests.per.connection": None}),
    ("E24", "wms", {"database.server.id": None}),
    ("E24", "wms", {"schema.history.internal.kafka.topic": None}),
    ("E24", "erp", {"slot.name": None}),
    ("E25", "erp", {"table.exclude.list": "erp.x"}),
    ("E26", "erp", {"notification.enabled.channels": "log"}),
    ("E26", "erp", {"notification.sink.topic.name": None}),
    ("E26", "erp", {"signal.enabled.channels": "kafka"}),
    ("E26", "erp", {"signal.data.collection": "erp.elsewhere"}),
    ("E27", "erp", {"message.key.columns": "erp.itmast:itdesc"}),
    ("E27", "erp", {"column.mask.hash.v2.SHA-256.with.salt.x": "erp.itmast.itdesc"}),
]


def test_the_demos_connectors_are_clean() -> None:
    sources = [read_source(CONFIGS / name, VARIABLES) for name in ("erp", "wms")]
    assert lint(sources) == []


@pytest.mark.parametrize(("code", "demo", "changes"), BAD)
def test_one_bad_file_per_rule(tmp_path: Path, code: str, demo: str, changes: dict[str, str | None]) -> None:
    source = changed(tmp_path, demo, changes)
    findings = lint([source])
    assert {finding.code for finding in findings} == {code}
    assert all(finding.severity is Severity.ERROR and finding.fix for finding in findings)
    key = next(iter(changes))
    if changes[key] is not None and code not in ("E07", "E26"):
        line = 1 + next(
            number
            for number, text in enumerate((source.folder / "connector.json").read_text().splitlines())
            if f'"{key}"' in text
        )
        assert findings[0].place == f"{demo}/connector.json:{line}"


def test_every_rule_has_a_bad_file() -> None:
    # E12 warns, E09 and E23 have tests of their own below
    assert {code for code, _ in RULES} - {code for code, _, _ in BAD} == {"E12", "E23"}


def test_slow_settings_warn(tmp_path: Path) -> None:
    findings = lint([changed(tmp_path, "erp", {"poll.interval.ms": None, "extended.headers.enabled": None})])
    assert {(finding.code, finding.severity) for finding in findings} == {
        ("E12", Severity.WARNING),
        ("E21", Severity.WARNING),
    }


def test_a_wrong_connector_for_the_kind(tmp_path: Path) -> None:
    source = changed(tmp_path, "erp", {"connector.class": "io.debezium.connector.mysql.MySqlConnector"})
    assert [finding.code for finding in lint([source])] == ["E23"]


def test_a_kind_that_is_golden_only_is_checked_and_said_to_be_so(tmp_path: Path) -> None:
    config = {
        **demo_config("wms"),
        "connector.class": "io.debezium.connector.sqlserver.SqlServerConnector",
        "database.names": "ERP",
    }
    source = read_source(write_folder(tmp_path, "wms", config, kind="sqlserver"), VARIABLES)
    found = lint([source])
    assert [(finding.code, finding.severity) for finding in found] == [("E23", Severity.NOTE)]
    assert "golden-only" in found[0].message
    assert drift_findings(source, []) == []
    assert preflight(source, []) == []
    outcome = apply_source(source, plan({"wms": source.config}, {})[0], cast(Cluster, None), print)
    assert outcome.exit_code == EXIT_INVALID
    assert "golden-only" in outcome.detail
    nowhere = Target("127.0.0.1", 1, "u", "p", "d")
    with pytest.raises(InvalidInput, match="golden-only"), session("sqlserver", nowhere):
        pass


def test_a_kind_that_is_refused_by_name(tmp_path: Path) -> None:
    source = read_source(write_folder(tmp_path, "as400", demo_config("erp"), kind="db2"), VARIABLES)
    assert "Db2 is refused" in next(f.message for f in lint([source]) if f.code == "E23")


def test_two_sources_may_not_share_an_identity(tmp_path: Path) -> None:
    erp = read_source(CONFIGS / "erp", VARIABLES)
    copy = {**demo_config("erp"), "transforms.one.replacement": "cdc.erp2"}
    twin = read_source(write_folder(tmp_path, "erp2", copy), VARIABLES)
    findings = lint([twin], [erp, twin])
    assert {(finding.code, finding.place.rsplit(":", 1)[0]) for finding in findings} == {("E09", "erp2/connector.json")}
    assert {finding.message.split()[0] for finding in findings} == {"topic.prefix", "slot.name", "publication.name"}


def test_the_same_slot_name_on_two_servers_is_no_conflict(tmp_path: Path) -> None:
    erp = read_source(CONFIGS / "erp", VARIABLES)
    other = {
        **demo_config("erp"),
        "transforms.one.replacement": "cdc.erp2",
        "topic.prefix": "erp2",
        "database.hostname": "elsewhere",
    }
    assert lint([read_source(write_folder(tmp_path, "erp2", other), VARIABLES)], [erp]) == []


def test_all_findings_come_at_once(tmp_path: Path) -> None:
    source = changed(tmp_path, "erp", {"database.password": "x", "plugin.name": None, "tasks.max": "3"})
    assert [finding.code for finding in lint([source])] == ["E01", "E04", "E10"]


def test_an_unknown_key_names_the_one_that_was_meant(tmp_path: Path) -> None:
    finding = lint([changed(tmp_path, "erp", {"heartbeat.intervall.ms": "1000"})])[0]
    assert finding.fix == "Did you mean heartbeat.interval.ms?"
