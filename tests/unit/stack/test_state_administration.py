"""Where what channels were told belongs when there are more partitions."""

from __future__ import annotations

import pytest

from onhand.state_administration import partition_of, places_of
from streams.agents.runtime.transport import Partitioner


@pytest.mark.parametrize("partitions", [1, 4, 6, 50])
def test_a_publication_stands_with_the_fact_it_tells(partitions: int) -> None:
    place = Partitioner()
    for key in ("A100000", "Größe/7", "", "SO-1"):
        assert partition_of(key.encode(), partitions) == place(key.encode(), partitions)
        assert places_of(f"shop/inventory/{key}", partitions) == (place(key.encode(), partitions),)


def test_an_order_to_the_workers_stands_everywhere() -> None:
    assert list(places_of("shop/control/resend/*", 3)) == [0, 1, 2]
