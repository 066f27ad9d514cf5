"""What a stack trace and a status are read as."""

from __future__ import annotations

import pytest

from streams.connect.client import ConnectorStatus, TaskStatus, causes
from streams.connect.failures import remedy

TRACE = """org.apache.kafka.connect.errors.ConnectException: Error configuring an instance of KafkaSchemaHistory
\tat io.debezium.Something(Something.java:1)
\t... 8 more
Caused by: java.lang.RuntimeException: The db history topic is missing.
\tat io.debezium.Other(Other.java:2)
Caused by: org.postgresql.util.PSQLException: FATAL: must be superuser or replication role to start walsender
"""


def test_causes_are_one_line_without_the_stack() -> None:
    assert causes(TRACE) == (
        "Error configuring an instance of KafkaSchemaHistory ← The db history topic is missing. ← "
        "FATAL: must be superuser or replication role to start walsender"
    )


def status(state: str, *tasks: str) -> ConnectorStatus:
    return ConnectorStatus("erp", state, "w", tuple(TaskStatus(n, task, "w") for n, task in enumerate(tasks)))


def test_running_needs_a_task() -> None:
    assert status("RUNNING", "RUNNING").running
    assert not status("RUNNING").running
    assert not status("RUNNING", "FAILED").running
    assert not status("PAUSED", "PAUSED").running


def test_a_failed_task_is_the_connectors_failure() -> None:
    assert status("RUNNING", "FAILED").failure == "task 0: FAILED"
    assert status("RUNNING", "RUNNING").failure == ""


@pytest.mark.parametrize(
    ("failure", "fix"),
    [
        ("task 0: … but this is no longer available on the server. Reconfigure …", "onhand source resnapshot erp"),
        ("Could not find GTID state requested by slave in any binlog files.", "onhand source resnapshot erp"),
        ("Source offset 'file' parameter is missing", "onhand source resnapshot erp"),
        ("INSERT, UPDATE command denied to user", "onhand source check erp names"),
        ("something else", "Mend the cause, then `onhand source restart erp`"),
    ],
)
def test_a_known_failure_has_its_remedy(failure: str, fix: str) -> None:
    assert remedy("erp", failure).startswith(fix)
