"""Transactions run at their time, open loop: two threads, one a database, so that a slow one delays only itself."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

Work = Callable[[Any], None]
LATE_S = 0.2


class Schedule:
    """Runs what is due on each connection, in order of its time, until `stop`.

    `counts` tells what was committed by kind, `late` how many transactions of a database began more than LATE_S after
    their time, `failures` what went wrong.
    """

    def __init__(self, connect: dict[str, Callable[[], Any]]) -> None:
        self.counts: Counter[str] = Counter()
        self.late: Counter[str] = Counter()
        self.failures: list[str] = []
        self.stopping = threading.Event()
        self._wake = threading.Condition()
        self._due: dict[str, list[tuple[float, int, str, Work]]] = {where: [] for where in connect}
        self._sequence = itertools.count()
        self._threads = [
            threading.Thread(target=self._run, args=(where, open_it), name=f"traffic-{where}")
            for where, open_it in connect.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is running; leave what is not yet due undone."""
        self.stopping.set()
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def later(self, where: str, due: float, kind: str, work: Work) -> None:
        """Run `work(connection)` on database `where` at monotonic time `due`."""
        with self._wake:
            heapq.heappush(self._due[where], (due, next(self._sequence), kind, work))
            self._wake.notify_all()

    def on_erp(self, due: float, kind: str, *steps: tuple[str, tuple[Any, ...]], rollback: bool = False) -> None:
        """One ERP transaction of these statements."""

        def work(connection: Any) -> None:
            with connection.transaction(force_rollback=rollback), connection.cursor() as cursor:
                for text, values in steps:
                    cursor.execute(text, values)

        self.later("erp", due, kind, work)

    def on_wms(self, due: float, kind: str, work: Callable[[Any], None]) -> None:
        """One WMS transaction: `work(cursor)`."""

        def transaction(connection: Any) -> None:
            connection.begin()
            try:
                with connection.cursor() as cursor:
                    work(cursor)
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

        self.later("wms", due, kind, transaction)

    def _run(self, where: str, open_it: Callable[[], Any]) -> None:
        connection = None
        while (task := self._next(where)) is not None:
            due, _, kind, work = task
            if time.monotonic() - due > LATE_S:
                self.late[where] += 1
            try:
                connection = connection or open_it()
                work(connection)
                self.counts[kind] += 1
            except Exception as error:  # noqa: BLE001 - a failing transaction is the demo's result, not its end
                self.failures.append(f"{where} {kind}: {error}")
                _close(connection)
                connection = None
        _close(connection)

    def _next(self, where: str) -> tuple[float, int, str, Work] | None:
        with self._wake:
            while not self.stopping.is_set():
                heap = self._due[where]
                wait = heap[0][0] - time.monotonic() if heap else 1.0
                if heap and wait <= 0:
                    return heapq.heappop(heap)
                self._wake.wait(min(wait, 1.0))
            return None


def _close(connection: Any) -> None:
    """Let go of a connection that may be broken: its server may be gone."""
    with contextlib.suppress(Exception):
        if connection is not None:
            connection.close()
