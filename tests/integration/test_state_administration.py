"""The state of a stage is deleted, and what it had found wrong with it."""

from __future__ import annotations

import uuid

import pytest

from onhand.state_administration import StateAdministration
from schemas import administration
from schemas.errors import EnvironmentFault
from schemas.records import ExceptionRecord, ExceptionStatus
from schemas.registry import connected_codec
from sinks.workers.tools import newest_exceptions, write_exceptions
from tests.stack import RunningStack

pytestmark = pytest.mark.integration


def refuse(*_: object) -> bool:
    raise EnvironmentFault("refused")


def test_what_a_deleted_state_had_found_is_closed_and_nothing_else(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = stack.settings()
    administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
    codec = connected_codec(settings.registry_url)
    subject = uuid.uuid4().hex
    found = {
        (stage, code): ExceptionRecord(
            id=f"{stage}/erp/{code}/{subject}",
            version=7,
            stage=stage,
            source="erp",
            code=code,
            status=ExceptionStatus.OPEN,
            subject=subject,
            detail="wrong",
            action="mend it",
            opened_us=1,
            updated_us=1,
        )
        for stage, code in (("inventory", "oversell"), ("orders", "order-conflict"), ("lane", "row-unmappable"))
    }
    write_exceptions(settings.kafka, codec, *found.values())

    def still_open() -> set[str]:
        newest = newest_exceptions(settings.kafka, codec)
        return {r.stage for r in found.values() if newest[r.id].status is ExceptionStatus.OPEN}

    assert still_open() == {"inventory", "orders", "lane"}
    with monkeypatch.context() as refused:
        refused.setattr(StateAdministration, "_delete", refuse)
        with pytest.raises(EnvironmentFault, match="refused"):
            StateAdministration(settings).reset("inventory")
    assert still_open() == {"inventory", "orders", "lane"}, "the state that found it is still there"
    StateAdministration(settings).reset("inventory")
    assert still_open() == {"orders", "lane"}
    closed = newest_exceptions(settings.kafka, codec)[found["inventory", "oversell"].id]
    assert (closed.version, closed.detail) == (8, "wrong (the state that found it was deleted)")
    assert closed.closed_us is not None
    StateAdministration(settings).reset("orders")
    assert still_open() == {"lane"}
