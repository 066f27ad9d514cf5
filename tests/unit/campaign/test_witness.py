"""The campaign's witness at the shop's door misses nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.campaign.system import Witness


def told(version: int, quantity: int, sequence: int = 0, sku: str = "A") -> dict[str, Any]:
    return {"sku": sku, "version": str(version), "sequence": sequence, "quantities": {"*": str(quantity), "W1": "1"}}


def test_it_holds_what_came_last_whatever_its_version() -> None:
    witness = Witness()
    for item in (told(5, 50), told(4, 40), told(1, 7, sku="B")):
        witness.saw(item)
    assert (witness.last, witness.told) == ({"A": Decimal(40), "B": Decimal(7)}, 3)


def test_it_names_what_came_behind_a_newer_one_also_the_same_version_told_again() -> None:
    witness = Witness()
    for item in (told(5, 50, sequence=1), told(5, 50, sequence=1), told(6, 60), told(5, 50, sequence=2)):
        witness.saw(item)
    assert witness.back == ["A: (5, 2) after (6, 0)"]
    witness.saw(told(6, 60))
    assert len(witness.back) == 1
