"""A restored database: the connector is stopped at once, and the finding stands until a person has acted."""

from __future__ import annotations

from onhand.watch.restored import Restored
from onhand.watch.troubles import RESTORED, Troubles
from streams.connect.client import ConnectorStatus, TaskStatus
from streams.connect.findings import Finding, Severity
from streams.connect.status import SourceStatus

BEHIND = Finding("P16", Severity.ERROR, "erp", "cdc@db", "its WAL ends at 0/10", "onhand source resnapshot erp")


def look(state: str, *problems: Finding, server: str = "") -> SourceStatus:
    tasks = (TaskStatus(0, "RUNNING", "worker", ""),) if state == "RUNNING" else ()
    return SourceStatus("erp", ConnectorStatus("erp", state, "worker", tasks), 1, 0.0, {}, problems, server=server)


def test_the_connector_is_stopped_once() -> None:
    restored = Restored()
    assert restored.take(look("RUNNING")) == (look("RUNNING"), False)
    assert restored.take(look("RUNNING", BEHIND)) == (look("RUNNING", BEHIND), True)
    assert restored.take(look("STOPPED", BEHIND)) == (look("STOPPED", BEHIND), False)


def test_it_stands_when_the_database_has_passed_the_place_until_the_connector_runs_again() -> None:
    restored = Restored()
    restored.take(look("RUNNING", BEHIND))
    for _ in range(3):
        assert restored.take(look("STOPPED")) == (look("STOPPED", BEHIND), False)
    assert restored.take(look("RUNNING")) == (look("RUNNING"), False)
    assert restored.take(look("STOPPED")) == (look("STOPPED"), False)


def test_another_server_is_as_good_as_a_restored_one() -> None:
    restored = Restored()
    for server in ("7301", "", "7301"):  # it could not be asked for a while
        assert restored.take(look("RUNNING", server=server)) == (look("RUNNING", server=server), False)
    status, stop = restored.take(look("RUNNING", server="7302"))
    assert ([problem.code for problem in status.problems], stop) == (["P16"], True)
    assert "7301" in status.problems[0].message
    status, stop = restored.take(look("STOPPED", server="7302"))
    assert ([problem.code for problem in status.problems], stop) == (["P16"], False)
    for _ in range(2):  # a person has acted
        assert restored.take(look("RUNNING", server="7302")) == (look("RUNNING", server="7302"), False)


def test_a_person_may_put_another_server_there_while_the_connector_is_stopped() -> None:
    restored = Restored()
    for status in (
        look("RUNNING", server="7301"),
        look("STOPPED", server="7301"),
        look("STOPPED", server="7302"),
        look("RUNNING", server="7302"),
    ):
        assert restored.take(status) == (status, False)


def test_the_next_watch_knows_of_it() -> None:
    before = Troubles("erp", [])
    before.take([BEHIND], 0)
    (opened,) = before.take([BEHIND], 5_000_000)
    assert opened.code == RESTORED
    after = Troubles("erp", [opened])
    status, _ = Restored(after.restored).take(look("STOPPED"))
    assert [(problem.code, problem.message, problem.fix) for problem in status.problems] == [
        ("P16", BEHIND.message, BEHIND.fix)
    ]
    assert Troubles("wms", [opened]).restored is None
