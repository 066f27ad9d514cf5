"""The result page is for people who see it for the first time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from onhand.demo.run import EXPECTED
from onhand.demo.screen import Screen, result_page

SHOP = {
    "attempts": 2,
    "right": 2,
    "oversold": 0,
    "pieces_oversold": 0,
    "wrongly_refused": 0,
    "fill_rate": Decimal(1),
}


def result(**changes: Any) -> dict[str, Any]:
    return {
        "settings": {
            "seconds": 1.0,
            "rate": 1.0,
            "attempts_per_s": 1.0,
            "batch_period_s": 1.0,
            "erp_posts_after_s": 1.0,
            "items": 100,
            "seed": 1,
        },
        "with_onhand": SHOP,
        "with_batch": SHOP,
        "mistakes": [],
        "lag": [],
        "traffic": {"counts": {"pick": 2000}, "late": {"wms": 12, "erp": 3}},
        "exceptions": [],
        "audit": {"items": 100, "differences": {}},
        "problems": [],
        "ok": True,
        "kept_in": None,
        **changes,
    }


def test_late_transactions_are_words(capsys: pytest.CaptureFixture[str]) -> None:
    result_page(Screen(), result())
    shown = capsys.readouterr().out
    assert "3 of the ERP and 12 of the WMS began more than 0.2 s late" in shown
    assert "{" not in shown


def test_each_exception_is_expected_or_said_not_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        {"code": code, "source": "erp", "count": 1, "example": "A1", "expected": EXPECTED.get(code)}
        for code in ("oversell", "row-unmappable")
    ]
    result_page(Screen(), result(exceptions=found))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"oversell: expected, {EXPECTED['oversell']}" in lines
    assert "row-unmappable: NOT expected; see docs/exceptions.md" in lines


def test_the_end_says_how_to_look_at_what_is_kept_and_how_to_keep_it(capsys: pytest.CaptureFixture[str]) -> None:
    result_page(Screen(), result())
    assert "onhand demo run --keep" in capsys.readouterr().out
    result_page(Screen(), result(kept_in=Path("there/demo")))
    shown = capsys.readouterr().out
    assert "export ONHAND_DATA_DIR=there/demo ONHAND_SHOP_URL=" in shown
    assert "onhand up --detach && onhand source apply" in shown
