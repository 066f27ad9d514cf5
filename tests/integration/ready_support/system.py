"""What a test of a ready folder knows of its system: rows with their quirks, and what the vendor says they mean."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY = Path(__file__).parents[3] / "connect-configs" / "ready"
TABLES = Path(__file__).parent / "tables"

Row = dict[str, Any]
Make = Callable[[random.Random, int], Row]


@dataclass(frozen=True)
class System:
    """One folder of `connect-configs/ready` and a database to try it on."""

    name: str
    kind: str
    """postgres | mariadb"""
    tables: Mapping[str, tuple[int, Make]]
    """Table → how many rows, and the n-th of them.  Made again it has the same key and other values."""
    meaning: Mapping[str, str]
    """on_hand, on_hold, demand, inbound → SELECT sku, location, quantity: what the vendor's own code computes, written
    without a look at the mapping.  Demand and inbound are what is open of them."""

    @property
    def folder(self) -> Path:
        return READY / self.name

    def statements(self) -> list[str]:
        """What makes its tables."""
        lines = (TABLES / f"{self.name}.sql").read_text().splitlines()
        text = "\n".join(line for line in lines if not line.startswith("--"))
        return [statement for statement in text.split(";") if statement.strip()]


def some(rng: random.Random, *values: Any) -> Any:
    """One of them."""
    return rng.choice(values)
