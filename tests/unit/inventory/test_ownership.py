"""ownership.yaml: who is believed, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import InvalidInput
from schemas.records import Bucket
from streams.core.ownership import Owner, load_ownership, parse_ownership
from tests.unit.inventory.harness import OWNERSHIP, ownership_of

PROJECT = Path(__file__).parents[3]


def test_lists_are_per_location_with_a_default() -> None:
    ownership = ownership_of(on_hand='{"*": [wms], B2: [wms-north/ledger, erp], C3: []}')
    assert ownership.owners(Bucket.ON_HAND, "N") == (Owner("wms"),)
    assert ownership.owners(Bucket.ON_HAND, "B2") == (Owner("wms-north", "ledger"), Owner("erp"))
    assert ownership.owners(Bucket.ON_HAND, "C3") == ()
    assert ownership.sources_at("B2") == {"erp", "wms", "wms-north", "shop"}
    assert ownership.sources_at("N") == {"erp", "wms", "shop"}


def test_order_attributes_fall_back_to_the_default() -> None:
    text = OWNERSHIP.replace("header: [erp]", 'header: {"*": [erp], execution_status: [wms, erp]}')
    ownership = parse_ownership(text)
    assert ownership.attribute_owners("header", "execution_status") == ("wms", "erp")
    assert ownership.attribute_owners("header", "customer") == ("erp",)
    assert ownership.attribute_owners("shipment", "tracking") == ("wms",)


def test_the_fingerprint_is_of_the_meaning() -> None:
    assert ownership_of().fingerprint == parse_ownership("# a comment\n" + OWNERSHIP).fingerprint
    assert ownership_of().fingerprint == ownership_of(on_hand='{"*": [wms]}').fingerprint
    assert ownership_of().fingerprint != ownership_of(fulfilled="[erp, wms]").fingerprint


def test_the_demo_is_valid() -> None:
    ownership = load_ownership(PROJECT / "connect-configs" / "ownership.yaml", ["erp", "wms"])
    assert ownership.owners(Bucket.FULFILLED, "anywhere") == (Owner("wms"), Owner("erp"))


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param(
            OWNERSHIP.replace("on_hold: [wms]", "on_hald: [wms]").replace("[erp, wms]\ninv", "[erp, erp]\ninv"),
            [
                "x.yaml:3: locations: erp stands twice in the list",
                "x.yaml:4: inventory.on_hold: is missing",
                "x.yaml:6: unknown key inventory.on_hald; did you mean on_hold?",
            ],
            id="every mistake at once",
        ),
        pytest.param(
            OWNERSHIP.replace("[shop]", "[Shop!]"),
            ["x.yaml:12: inventory.reserved.*.0: 'Shop!' is no source name; write source or source/view"],
            id="name",
        ),
        pytest.param(
            OWNERSHIP.replace("on_hand: [wms]", "on_hand: {N: [wms]}"),
            [
                'x.yaml:5: inventory.on_hand: a default is missing: add "*": [sources], for every location or '
                "attribute not named"
            ],
            id="default",
        ),
        pytest.param(
            OWNERSHIP.replace("demand: [erp]", "demand: [sap]"),
            ["x.yaml:8: sap: no such source in connect-configs; there are: erp, shop, wms"],
            id="unknown source",
        ),
        pytest.param(OWNERSHIP + "items: [wms]\n", ["x.yaml:14: items: stands twice"], id="repeated key"),
        pytest.param("time_zone: Mars/Olympus\n" + OWNERSHIP, ["x.yaml:1: time_zone: time zone"], id="time zone"),
        pytest.param(
            OWNERSHIP.replace("lines: [erp]", 'lines: {"*": [erp], colour: [erp]}'),
            ["x.yaml:13: orders.lines: colour: no such attribute; there are allocated"],
            id="attribute",
        ),
        pytest.param("a: [", ["x.yaml:1:4: '[' is not closed"], id="not YAML"),
        pytest.param("", ["x.yaml:1: empty"], id="empty"),
    ],
)
def test_every_mistake_is_told_with_its_line(text: str, problems: list[str]) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_ownership(text, "x.yaml", sources=["erp", "wms", "shop"])
    lines = str(error.value).splitlines()
    assert len(lines) == len(problems)
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith(problem)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"docs/ownership\.md"):
        load_ownership(tmp_path / "ownership.yaml")
