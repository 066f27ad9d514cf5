"""What a person sees: one screen that renews itself on a terminal, plain lines elsewhere, and a result page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.live import Live
from rich.table import Table

from onhand.cli.output import console
from onhand.demo.schedule import LATE_S

PLAIN_EVERY_S = 5.0
LAG_COLUMNS = ("hop", "source", "warehouse", "publications", "p50_ms", "p99_ms", "p999_ms", "max_ms")


class Screen:
    """Progress of the demo.  `say` prints a step that is done or begun; `show` renews the figures."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        self.console = console(stderr=to_stderr)
        self._live: Live | None = None
        self._last_plain = 0.0
        self._started = time.monotonic()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def say(self, text: str) -> None:
        """One line with the seconds since the start."""
        self.console.print(f"[{time.monotonic() - self._started:6.1f} s] {text}", markup=False, highlight=False)

    def show(self, figures: Mapping[str, Any]) -> None:
        """The figures now; on a terminal in place, elsewhere one line every PLAIN_EVERY_S seconds."""
        if self.console.is_terminal:
            table = Table(title="onhand demo", box=None, show_header=False, title_justify="left")
            for name, value in figures.items():
                table.add_row(name, str(value))
            if self._live is None:
                self._live = Live(table, console=self.console, refresh_per_second=4)
                self._live.start()
            else:
                self._live.update(table)
        elif time.monotonic() - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            self.say(" · ".join(f"{name} {value}" for name, value in figures.items()))

    def line(self, text: str) -> None:
        """One line of the result page, as it is."""
        self.console.print(text, markup=False, highlight=False)

    def end(self) -> None:
        """Leave the renewing screen; what it showed last stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
        """One part of the result page."""
        self.console.print(f"\n{title}", markup=False, highlight=False)
        if not rows:
            self.console.print(f"  {empty}", markup=False)
            return
        table = Table(*columns, box=None, pad_edge=True)
        for row in rows:
            table.add_row(*("" if cell is None else str(cell) for cell in row))
        self.console.print(table, markup=False)


def result_page(screen: Screen, result: Mapping[str, Any]) -> None:
    """Print the result: settings, shops, lag, traffic, exceptions, audit.  `result` is what `--json` prints."""
    setting = result["settings"]
    screen.console.rule("result")
    screen.console.print(
        f"{setting['seconds']} s of traffic at {setting['rate']} transactions/s and {setting['attempts_per_s']} order "
        f"attempts/s on {setting['items']} items, seed {setting['seed']}; the shadow shop's batch export runs every "
        f"{setting['batch_period_s']} s, the ERP posts {setting['erp_posts_after_s']} s late.",
        markup=False,
        highlight=False,
    )
    screen.table(
        "Order attempts, judged by hand-written SQL at the moment of each",
        ("", "attempts", "right", "oversold", "pieces oversold", "wrongly refused", "fill rate"),
        [
            (
                name,
                shop["attempts"],
                shop["right"],
                shop["oversold"],
                shop["pieces_oversold"],
                shop["wrongly_refused"],
                "" if shop["fill_rate"] is None else f"{shop['fill_rate']:.1%}",
            )
            for name, shop in (("with onhand", result["with_onhand"]), ("with batch export", result["with_batch"]))
        ],
        "no customer came",
    )
    for line in result["mistakes"]:
        screen.line(f"  {line}")
    screen.table(
        "Lag by hop, milliseconds",
        ("hop", "source", "warehouse", "publications", "p50", "p99", "p99.9", "max"),
        [[row.get(column) for column in LAG_COLUMNS] for row in result["lag"]],
        "no latency row arrived",
    )
    screen.line(
        "  Counted is what a commit led to, at each warehouse whose figure it changed. The first promises, of the "
        "snapshot, are of no commit: they count in picked up→acknowledged only."
    )
    screen.table(
        "Transactions committed",
        ("kind", "count"),
        sorted(result["traffic"]["counts"].items(), key=lambda pair: -pair[1]),
        "none",
    )
    late = result["traffic"]["late"]
    if late:
        each = " and ".join(f"{count} of the {where.upper()}" for where, count in sorted(late.items()))
        screen.line(f"  {each} began more than {LATE_S:g} s late: a database's transactions wait for each other here.")
    screen.table(
        "Open exceptions",
        ("code", "source", "count", "example"),
        [(row["code"], row["source"], row["count"], row["example"]) for row in result["exceptions"]],
        "none",
    )
    for code, why in {row["code"]: row["expected"] for row in result["exceptions"]}.items():
        screen.line(f"  {code}: " + (f"expected, {why}" if why else "NOT expected; see docs/exceptions.md"))
    audit = result["audit"]
    screen.table(
        f"Audit of {audit['items']} items: position and promise against hand-written SQL, the shop against the promise",
        ("comparison", "differences"),
        [(name, len(found)) for name, found in audit["differences"].items()],
        "nothing was compared",
    )
    for name, found in audit["differences"].items():
        for line in found[:10]:
            screen.line(f"  {name}: {line}")
    for problem in result["problems"]:
        screen.line(f"  PROBLEM {problem}")
    verdict = "the audit is empty" if result["ok"] else "NOT in order: see above"
    screen.console.rule(verdict)
    data_dir = result["kept_in"]
    if data_dir is None:
        screen.line(
            "Nothing is kept. To look around afterwards: `onhand demo run --keep`, which ends with how to go on."
        )
        return
    screen.line(
        f"Kept in {data_dir}; nothing runs any more. To look around (README's commands then work in the same shell):\n"
        f"  export ONHAND_DATA_DIR={data_dir} ONHAND_SHOP_URL=http://127.0.0.1:9/   # nobody takes the webhooks\n"
        "  onhand up --detach && onhand source apply    # the connectors learn the databases' new ports\n"
        "  onhand status; onhand exceptions list; onhand topics read inventory.atp.v1 --key A100000\n"
        "  onhand down --wipe"
    )
