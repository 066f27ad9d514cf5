"""Why a shop was wrong: what it knew when it was asked, and when it was told the rest."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple


class Telling(NamedTuple):
    """One webhook about one item."""

    told_us: int
    committed_us: int | None
    """When the oldest change it tells of was committed, by the source's clock (MariaDB's binlog: whole seconds)."""
    available: Decimal


@dataclass(frozen=True)
class Mistake:
    """An attempt that was answered wrongly."""

    sku: str
    outcome: str
    quantity: int
    there: Decimal
    """What the databases had to promise."""
    held: Decimal | None
    """What the shop believed: what it was told last less its own sales; None: nothing."""
    asked_us: int
    """When the databases had been read, right before the shop was asked."""


class History:
    """What a shop was told, by item, in the order of arrival."""

    def __init__(self) -> None:
        self._tellings: dict[str, list[Telling]] = defaultdict(list)

    def note(self, sku: str, telling: Telling) -> None:
        self._tellings[sku].append(telling)

    def explain(self, mistake: Mistake) -> str:
        """One line: whether news was on its way, since when, and when it arrived."""
        what = (
            f"{mistake.sku} {mistake.outcome.replace('_', ' ')}, {mistake.quantity} wanted: the shop believed in "
            f"{_text(mistake.held)}, {_text(mistake.there)} were there; "
        )
        news = next((told for told in self._tellings[mistake.sku] if told.told_us > mistake.asked_us), None)
        if news is None:
            return what + "it was told nothing after that"
        arrived = f"{_text(news.available)} arrived {_ms(news.told_us - mistake.asked_us)} after the question"
        if news.committed_us is None:
            return what + arrived
        age_us = mistake.asked_us - news.committed_us
        if age_us < 0:
            return what + f"{arrived}, of a change only committed {_ms(-age_us)} after it: nothing was on its way"
        return what + f"{arrived}, of a change committed {_ms(age_us)} before it"


def _ms(us: int) -> str:
    return f"{us / 1000:.0f} ms"


def _text(number: Decimal | None) -> str:
    return "nothing" if number is None else f"{number.normalize():f}"
