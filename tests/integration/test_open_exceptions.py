"""What exception.v1 has open of a lane is read anew by each owner."""

from __future__ import annotations

import uuid

import pytest

from schemas import administration
from schemas.records import ExceptionRecord, ExceptionStatus
from schemas.registry import connected_codec
from sinks.workers.tools import write_exceptions
from streams.agents.lane import stage_factory
from streams.core.lane.applied import Applied
from streams.core.lane.render import EXCEPTION_TOPIC
from streams.core.log.control import Action
from tests.integration.runtime_harness import wait_for
from tests.stack import RunningStack
from tests.unit.lane.conftest import Lane, demand_row

pytestmark = pytest.mark.integration

DEADLINE_S = 30.0


def test_a_reading_that_a_former_owner_began_is_not_used(stack: RunningStack) -> None:
    settings = stack.settings()
    administration.apply(kafka=settings.kafka, registry_url=settings.registry_url, partitions=settings.partitions)
    codec = connected_codec(settings.registry_url)
    source = f"toy-{uuid.uuid4().hex[:8]}"
    identity = f"lane/{source}/row-unmappable/toy.demand [7]"
    lane = Lane()
    lane.runtime.stage_factory = stage_factory(source, Applied(lane.mapping), codec, settings.kafka)
    lane.runtime.restart()
    lane.log.snapshot({"toy.demand": [demand_row(1, "A", "1")]})
    lane.feed()
    lane.runtime.run()
    lane.runtime.tick()  # begins to read, and the partition is lost before that is used
    write_exceptions(
        settings.kafka,
        codec,
        ExceptionRecord(
            id=identity,
            version=1,
            stage="lane",
            source=source,
            code="row-unmappable",
            status=ExceptionStatus.OPEN,
            subject="toy.demand [7]",
            detail="wrong",
            action="mend it",
            opened_us=1,
            updated_us=1,
        ),
    )
    lane.runtime.restart()
    lane.control(Action.RESTATE)  # compared for certain, also when the first owner was through
    lane.feed()
    lane.runtime.run()

    def closed() -> bool:
        lane.runtime.tick(0)
        told = lane.runtime.latest(EXCEPTION_TOPIC).get(identity.encode())
        record = None if told is None else codec.decode(EXCEPTION_TOPIC, told)
        return isinstance(record, ExceptionRecord) and record.status is ExceptionStatus.CLOSED

    wait_for(closed, "what is open of no row to be closed", DEADLINE_S)
