"""`onhand demo run`: bring everything up, let the business run, judge, audit, and say how it went."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onhand.clock import clock_us
from onhand.demo import databases as db
from onhand.demo.audit import compare_positions, compare_promises, compare_shop
from onhand.demo.judge import Customers, Verdicts
from onhand.demo.screen import Screen, result_page
from onhand.demo.system import SOURCES, DemoSystem
from onhand.demo.traffic import Pace, Traffic
from onhand.demo.truth import read_facts
from schemas.errors import EXIT_DIFFERENCES, EXIT_OK
from schemas.records import ExceptionStatus

SETTLE_S = 90.0
EXPECTED = {
    "inbound-overdue": "some of the demo's purchase lines were due more than a week ago",
    "oversell": "the demo's telephone orders, counts and quality holds do not ask what is promised already",
    "drift": "nobody tells the demo's ERP of counts, transfers and returns, so its own stock figure stays behind",
    "order-conflict": "the demo's warehouse closes an order that it picked short, its ERP keeps that order open",
}
"""Code → why the demo's business itself brings it about."""


@dataclass(frozen=True)
class DemoSettings:
    """What can be set; printed on the result page."""

    seconds: float
    rate: float
    attempts_per_s: float
    batch_period_s: float
    erp_posts_after_s: float
    items: int
    seed: int


def run_demo(data_dir: Path, wanted: DemoSettings, *, as_json: bool, keep: bool) -> int:
    """Returns EXIT_OK only if the audit is empty and nothing failed."""
    screen = Screen(to_stderr=as_json)
    with screen, DemoSystem(data_dir, items=wanted.items, seed=wanted.seed, say=screen.say, keep=keep) as system:
        traffic = Traffic(
            system.erp,
            system.wms,
            system.business,
            system.rng,
            Pace(transactions_per_s=wanted.rate, erp_posts_after_s=wanted.erp_posts_after_s),
            system.today,
        )
        customers = Customers(
            system.erp,
            system.wms,
            system.business,
            system.shop,
            system.rng,
            attempts_per_s=wanted.attempts_per_s,
            batch_period_s=wanted.batch_period_s,
            today=system.today,
        )
        screen.say(f"business begins: {wanted.seconds:g} s at {wanted.rate:g} transactions/s")
        _let_it_run(screen, system, traffic, customers, wanted.seconds)
        screen.end()
        screen.say("business has stopped; waiting until every commit is in the promise")
        audit = _audit(system)
        result = _result(system, traffic, customers, wanted, audit)
    if as_json:
        print(json.dumps(result, default=str, indent=2))
    else:
        result_page(screen, result)
    return EXIT_OK if result["ok"] else EXIT_DIFFERENCES


def _let_it_run(screen: Screen, system: DemoSystem, traffic: Traffic, customers: Customers, seconds: float) -> None:
    traffic.start()
    try:
        customers.start()
        try:
            ends = time.monotonic() + seconds
            while (left := ends - time.monotonic()) > 0:
                screen.show(
                    {
                        "seconds left": f"{left:.0f}",
                        "transactions": traffic.schedule.counts.total(),
                        "webhooks": system.shop.webhooks,
                        "attempts": customers.with_onhand.attempts,
                        "oversold with onhand": customers.with_onhand.counts["oversold"],
                        "with batch": customers.with_batch.counts["oversold"],
                        "age of the newest promise": system.shop.age_text(),
                    }
                )
                time.sleep(min(0.25, left))
        finally:
            customers.stop()
    finally:
        traffic.stop()


def _audit(system: DemoSystem) -> dict[str, list[str]]:
    """Wait until the promise covers the last commit, then compare; the shop may need a moment more for its webhooks."""
    stopped_us = clock_us()
    system.wait("the last commit to be in every promise", lambda: system.promised_up_to(stopped_us), SETTLE_S)
    with db.connect_erp(system.erp) as erp, db.connect_wms(system.wms) as wms:
        facts = read_facts(erp, wms)
    deadline = time.monotonic() + SETTLE_S
    while True:
        promises = system.newest("inventory.atp.v1")
        found = {
            "position against SQL": compare_positions(facts, system.newest("inventory.position.v1")),
            "promise against SQL": compare_promises(facts, promises, system.today),
            "shop against promise": compare_shop(promises, system.shop.held()),
        }
        if not any(found.values()) or time.monotonic() > deadline:
            return {name: [str(difference) for difference in differences] for name, differences in found.items()}
        time.sleep(1.0)


def _result(
    system: DemoSystem, traffic: Traffic, customers: Customers, wanted: DemoSettings, audit: dict[str, list[str]]
) -> dict[str, Any]:
    shop = system.shop
    problems = [*traffic.schedule.failures, *customers.failures]
    if shop.versions_back:
        problems.append(f"the shop was told an older version {shop.versions_back} times")
    lag = json.loads(system.onhand("report", "lag", "--by", "hop,source,warehouse", "--json"))
    restarted = [f"{row.name} was restarted {row.restarts} times" for row in system.stack.rows() if row.restarts]
    return {
        "settings": asdict(wanted),
        "with_onhand": _verdicts(customers.with_onhand),
        "mistakes": customers.mistakes(),
        "with_batch": _verdicts(customers.with_batch),
        "batch_exports": customers.shadow.exports,
        "webhooks": shop.webhooks,
        "lag": [row for row in lag if row["source"] in SOURCES],
        "traffic": {"counts": dict(traffic.schedule.counts), "late": dict(traffic.schedule.late)},
        "exceptions": _open_exceptions(system),
        "audit": {"items": wanted.items, "differences": audit},
        "problems": problems + restarted,
        "ok": not any(audit.values()) and not problems,
        "kept_in": system.kept_in,
    }


def _verdicts(verdicts: Verdicts) -> dict[str, Any]:
    return {
        "attempts": verdicts.attempts,
        "right": verdicts.counts["right"],
        "oversold": verdicts.counts["oversold"],
        "pieces_oversold": verdicts.pieces_oversold,
        "wrongly_refused": verdicts.counts["wrongly_refused"],
        "fill_rate": verdicts.fill_rate,
    }


def _open_exceptions(system: DemoSystem) -> list[dict[str, Any]]:
    """Open exceptions by code and source, with one example each, and why they are expected (None: they are not)."""
    still_open = [one for one in system.newest("exception.v1").values() if one.status != ExceptionStatus.CLOSED]
    counts = Counter((one.code, one.source) for one in still_open)
    examples = {(one.code, one.source): f"{one.subject}: {one.detail}" for one in still_open}
    return [
        {
            "code": code,
            "source": source,
            "count": count,
            "expected": EXPECTED.get(code),
            "example": examples[code, source],
        }
        for (code, source), count in sorted(counts.items())
    ]
