"""Bad input in the running chain."""

from __future__ import annotations

import pytest

from tests.faults.chain import Chain

pytestmark = pytest.mark.integration


def test_business_goes_on(chain: Chain) -> None:
    """The chain itself: traffic, then an empty audit."""
    with chain.traffic() as traffic:
        chain.wait("some business", lambda: traffic.schedule.counts.total() > 60)
