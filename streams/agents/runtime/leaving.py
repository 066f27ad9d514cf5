"""Leaving a consumer group at once, whatever the group is doing.

aiokafka lets no static member leave (KIP-345), and while a rebalance is under way the broker reads nothing more from
the connection on which our JoinGroup waits.  So the request goes over a connection of its own, and names the member by
its instance: the group knows that before we know which member id it gave us.
"""

from __future__ import annotations

from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

CONNECTION = 2
"""aiokafka has two connections to a broker: 0 for data and 1 for the group."""


class LeaveGroupResponse_v3(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")), ("error_code", Int16)),
        ),
    )


class LeaveGroupRequest_v3(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = LeaveGroupResponse_v3
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("members", Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")))),
    )


class LeaveGroupRequest(Request[LeaveGroupRequest_v3]):  # type: ignore[misc]  # aiokafka has no types
    """Kafka 2.4 and later."""

    API_KEY = 13

    def __init__(self, group: str, instance: str) -> None:
        self._group, self._instance = group, instance

    def build(self, request_struct_class: type[LeaveGroupRequest_v3]) -> LeaveGroupRequest_v3:
        return request_struct_class(self._group, [("", self._instance)])


async def leave(coordinator: Any, instance: str) -> None:
    """Leave, and do not join again; `coordinator` is aiokafka's `GroupCoordinator`."""
    coordinator._coordination_task.cancel()
    if coordinator.coordinator_id is not None:  # else it has never joined
        request = LeaveGroupRequest(coordinator.group_id, instance)
        await coordinator._client.send(coordinator.coordinator_id, request, group=CONNECTION)
