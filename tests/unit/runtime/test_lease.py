"""The lease counts from the moment a heartbeat was sent, not from its answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.errors import Fatal
from streams.agents.runtime.app import StageApp
from streams.agents.runtime.durations import Durations
from streams.agents.runtime.lease import Lease


def test_a_lease_ends_nine_tenths_of_a_session_after_the_accepted_heartbeat_was_sent() -> None:
    now = 100.0
    lease = Lease(10.0, clock=lambda: now)
    now = 108.9
    lease.check()
    lease.renew(sent_at=105.0)
    now = 113.9
    lease.check()
    assert lease.left_s == pytest.approx(0.1)
    now = 114.1
    with pytest.raises(Fatal, match="may have another owner"):
        lease.check()


def test_an_answer_that_comes_out_of_order_does_not_shorten_it() -> None:
    now = 0.0
    lease = Lease(10.0, clock=lambda: now)
    lease.renew(sent_at=5.0)
    lease.renew(sent_at=3.0)
    now = 13.0
    lease.check()


def test_a_stage_without_its_lease_is_not_well_unless_it_owns_nothing() -> None:
    """While the broker is away a write waits for it, so the process may live on for long."""
    now = 0.0
    owner = SimpleNamespace(
        version=1,
        settled_us=0,
        position=None,
        units=1,
        records=1,
        owed=0,
        unit_seconds=Durations(),
        store=SimpleNamespace(size=lambda: 0),
    )
    app: Any = SimpleNamespace(
        conf=SimpleNamespace(id="inventory"),
        monitor=SimpleNamespace(tp_end_offsets={}),
        lease=Lease(10.0, clock=lambda: now),
        owners={0: owner},
        rebalancing=False,
        standby=False,
        takeovers=1,
        _input="onhand.balance.v1",
    )

    def well() -> tuple[bool, bool]:
        health = StageApp.health(app)
        return health["healthy"], health["ready"]

    assert well() == (True, True)
    now = 9.1
    assert well() == (False, False)
    app.owners.clear()
    assert well() == (True, False)
