"""Plan: what would be created, updated, left alone, refused, removed."""

from __future__ import annotations

import pytest

from streams.connect.plan import IMMUTABLE, Action, KeyChange, SourcePlan, plan, shown

ERP = {
    "topic.prefix": "erp",
    "slot.name": "erp",
    "transforms": "one",
    "transforms.one.replacement": "cdc.erp",
    "table.include.list": "erp\\.(item|sales_order)",
    "poll.interval.ms": "10",
}


def the_plan(desired: dict[str, dict[str, str]], actual: dict[str, dict[str, str]]) -> dict[str, Action]:
    return {one.name: one.action for one in plan(desired, actual)}


def test_create_update_unchanged() -> None:
    slower = {**ERP, "poll.interval.ms": "50"}
    assert the_plan({"erp": ERP}, {}) == {"erp": Action.CREATE}
    assert the_plan({"erp": ERP}, {"erp": dict(ERP)}) == {"erp": Action.UNCHANGED}
    assert plan({"erp": slower}, {"erp": ERP}) == [
        SourcePlan("erp", Action.UPDATE, (KeyChange("poll.interval.ms", "10", "50"),))
    ]


def test_added_and_removed_keys() -> None:
    changes = plan({"erp": {**ERP, "linger": "1"}}, {"erp": {**ERP, "old": "x"}})[0].changes
    assert changes == (KeyChange("linger", None, "1"), KeyChange("old", "x", None))


@pytest.mark.parametrize("key", sorted(IMMUTABLE))
@pytest.mark.parametrize("after", ["other", None])
def test_immutable_keys_are_refused(key: str, after: str | None) -> None:
    before = {**ERP, key: "old"}
    desired = {**before, key: after} if after else {k: v for k, v in before.items() if k != key}
    only = plan({"erp": desired}, {"erp": before})[0]
    assert only.action is Action.REFUSED
    assert [change.why_not for change in only.changes] == [IMMUTABLE[key]]


def test_another_log_topic_is_refused_but_another_name_of_the_router_is_not() -> None:
    moved = {**ERP, "transforms.one.replacement": "cdc.erp.v2"}
    assert the_plan({"erp": moved}, {"erp": ERP}) == {"erp": Action.REFUSED}
    renamed = {key.replace(".one.", ".router."): value for key, value in ERP.items()} | {"transforms": "router"}
    assert the_plan({"erp": renamed}, {"erp": ERP}) == {"erp": Action.UPDATE}


def test_only_connectors_that_write_their_own_log_can_be_orphans() -> None:
    actual = {
        "old": {**ERP, "transforms.one.replacement": "cdc.old"},
        "theirs": {"connector.class": "SomeSink"},
        "odd": {**ERP, "transforms.one.replacement": "cdc.erp"},
    }
    assert the_plan({"erp": ERP}, actual) == {"erp": Action.CREATE, "old": Action.ORPHAN}


def test_new_and_dropped_tables_are_told() -> None:
    after = {**ERP, "table.include.list": "erp\\.item,erp\\.receipt"}
    notes = plan({"erp": after}, {"erp": ERP})[0].notes
    assert len(notes) == 2
    assert notes[0].startswith("erp.receipt is new")
    assert "resnapshot erp --incremental erp.receipt" in notes[0]
    assert notes[1].startswith("erp.sales_order is no longer captured")


def test_literal_secrets_are_never_shown() -> None:
    assert shown("database.password", "geheim") == "(hidden)"
    assert shown("database.password", "${file:/s/x.properties:password}") == "${file:/s/x.properties:password}"
    assert shown("poll.interval.ms", "10") == "10"
    assert shown("poll.interval.ms", None) == "-"
