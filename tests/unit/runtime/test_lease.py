"""The lease counts from the moment a heartbeat was sent, not from its answer."""

from __future__ import annotations

import pytest

from schemas.errors import Fatal
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
