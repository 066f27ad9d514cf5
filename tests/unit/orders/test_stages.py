"""Two systems at different stages of one way: when that is a contradiction, and when it is news."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.statuses import STATUSES
from streams.agents.orders import load_words
from streams.core.orders.stages import WAYS, Words, agree, fingerprint_of, words_of
from tests.unit.orders.scene import Scene, header

DEMO = Path(__file__).parents[3] / "connect-configs"


def demo_words() -> Words:
    """What the demo's ERP and WMS can say, from their source.yaml."""
    return load_words(DEMO)


@pytest.mark.parametrize(
    ("wms", "erp", "agrees"),
    [
        ("released", "released", True),
        ("picking", "released", True),  # the ERP has no word between released and shipped
        ("packed", "released", True),
        ("shipped", "released", False),  # it has a word for that, and has not used it
        ("picking", "entered", False),
        ("picking", "shipped", False),  # ahead of the owner
        ("released", "entered", False),
        ("cancelled", "released", False),
        ("picking", "cancelled", False),
    ],
)
def test_the_demos_warehouse_and_erp(wms: str, erp: str, agrees: bool) -> None:
    for owner, other in ((("wms", wms), ("erp", erp)), (("erp", erp), ("wms", wms))):
        assert (wms == erp or agree(demo_words(), "header", "execution_status", owner, other)) is agrees


def test_without_known_words_and_off_the_way_only_equals_agree() -> None:
    assert not agree({}, "header", "execution_status", ("wms", "picking"), ("erp", "released"))
    words: Words = {("erp", "header", "execution_status"): frozenset({"on_hold"})}
    assert not agree(words, "header", "execution_status", ("wms", "picking"), ("erp", "on_hold"))
    assert not agree(demo_words(), "line", "shipped", ("wms", "5"), ("erp", "4"))


def test_a_way_is_made_of_its_enumerations_symbols_in_their_order() -> None:
    for (kind, column), way in WAYS.items():
        symbols = [member.value for member in STATUSES["orders" if kind == "header" else "shipments", column]]
        assert [symbol for symbol in symbols if symbol in way] == list(way)


def test_words_are_those_that_codes_are_mapped_to() -> None:
    words = words_of({"erp": {"orders": {"execution_status": {"20": "entered", "30": "entered", "40": "released"}}}})
    assert words == {("erp", "header", "execution_status"): frozenset({"entered", "released"})}
    assert fingerprint_of(words) == fingerprint_of(dict(words))
    assert fingerprint_of(words) != fingerprint_of({})


def test_a_non_owner_that_lags_is_recorded_at_once_and_an_exception_only_when_it_lasts() -> None:
    scene = Scene(drift_after_s=60, words=demo_words())
    scene.say("erp", header(execution_status="released"))
    assert scene.tell("wms", header(execution_status="packed")).conflicts == (), "the same in the ERP's words"
    order = scene.tell("wms", header(execution_status="shipped"))
    assert (order.execution_status, len(order.conflicts)) == ("shipped", 1)
    scene.runtime.tick(59)
    assert scene.exceptions() == {}
    assert scene.tell("erp", header(execution_status="shipped")).conflicts == ()
    scene.runtime.tick(3_600)
    assert scene.exceptions() == {}, "it caught up in time"
    scene.tell("wms", header(execution_status="cancelled"))
    scene.runtime.tick(60)
    [problem] = scene.exceptions().values()
    assert problem.detail == "execution_status: wms cancelled, erp shipped"
