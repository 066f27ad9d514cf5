"""Parts of the running chain fail: people are told what to do, the rest goes on, nothing is lost.

Each test brings its failure about in the real processes; afterwards the `chain` fixture finds every process well, the
audit empty and no version told backwards.  Here is what people see meanwhile; that the chain comes back right from
every fault is the campaign's to show (tests/campaign).  Not here: a port in use (test_stack_local, test_stack_up),
and what only one process can meet (test_runtime_guards.py, test_runtime_kill.py, test_connect_source.py).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from onhand.demo import databases as db
from onhand.demo.audit import compare_shop
from onhand.demo.shop import NETWORK, OrderDesk
from onhand.demo.system import PROCESSES
from onhand.stack.component import Command
from onhand.stack.local import settings_environment
from onhand.stack.process import Process
from onhand.stack.records import Row
from onhand.stack.site import write_private
from schemas.errors import EXIT_ENVIRONMENT, EXIT_OK, EXIT_RUNTIME
from tests.faults.chain import Chain
from tests.receiver import SECRET, Receiver, Reply, Request

pytestmark = pytest.mark.integration

STAGES = ("source-erp", "source-wms", "inventory", "orders")
STOCKED = 60
"""An item with stock to spare."""


def row(chain: Chain, name: str) -> Row:
    """What the supervisor knows of a process."""
    return next(one for one in chain.system.stack.rows() if one.name == name)


def works(chain: Chain, name: str) -> bool:
    """The process answers, and a stage owns its partitions."""
    health = chain.health(name)
    return bool(health["healthy"] and health.get("ready", True))


def unwell(chain: Chain, name: str) -> bool:
    """The process says so, or does not answer."""
    return not chain.health(name)["healthy"]


def restarted(chain: Chain, name: str, before: Mapping[str, int]) -> bool:
    """The supervisor has started it again since then."""
    return chain.restarts()[name] > before[name]


def wait_until_all_work(chain: Chain) -> None:
    for name in PROCESSES:
        chain.wait(f"{name} to work", partial(works, chain, name))


def hears_again(chain: Chain) -> None:
    """Wait until news reaches the shop, from now on."""
    told = chain.system.shop.webhooks
    chain.wait("the shop to be told more", lambda: chain.system.shop.webhooks > told + 10)


@contextmanager
def stopped(chain: Chain, component: str, grace_s: float = 15.0) -> Iterator[None]:
    """A server is down for a while, killed if it takes longer than `grace_s`; then it is back on its old port and
    state."""
    chain.system.stack.stop(component, grace_s=grace_s)
    try:
        yield
    finally:
        chain.system.stack.start_component(component)


def sell(chain: Chain, sku: str) -> int:
    """The ERP takes an order of one piece; what that does to the promise."""
    system = chain.system
    OrderDesk(system.erp, system.business, system.today).place(sku, "W1", 1)
    return -1


def find(chain: Chain, sku: str) -> int:
    """The WMS counts one piece more; what that does to the promise."""
    item = chain.system.business.item_ids[sku]
    place = (db.pick_bin(item, 1), item, db.lot_of(item, 1))
    chain.wms("UPDATE bin_stock SET qty = qty + 1 WHERE bin_id = %s AND item_id = %s AND lot_id = %s", *place)
    return 1


CHANGES: dict[str, Callable[[Chain, str], int]] = {"erp": sell, "wms": find}


class Watched:
    """One item whose changes are counted, and what the shop must come to hold of it."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.sku = chain.system.business.skus[STOCKED]
        self.expected: Decimal = chain.tag(self.sku).available

    def change(self, source: str) -> None:
        """One committed transaction in this source."""
        self.expected += CHANGES[source](self.chain, self.sku)

    def wait(self, what: str) -> None:
        self.chain.wait(f"the shop to be told {what}", lambda: self.chain.tag(self.sku).available == self.expected)


# ---------------------------------------------------------------- databases


@pytest.mark.parametrize(
    ("server", "source", "other", "finding"), [("postgres", "erp", "wms", "P01"), ("mariadb", "wms", "erp", "M01")]
)
def test_a_database_goes_away_while_streaming(chain: Chain, server: str, source: str, other: str, finding: str) -> None:
    item = Watched(chain)
    item.change(source)
    with stopped(chain, server):
        status = chain.command("source", "status", source)
        assert status.code == EXIT_RUNTIME
        assert f"{finding}: cannot connect" in status.out
        assert "Start the server" in status.out
        assert chain.command("source", "status", other).code == EXIT_OK

        apply = chain.command("source", "apply", source)
        assert apply.code == EXIT_ENVIRONMENT
        assert f"{finding}: cannot connect" in apply.out
        assert "Start the server" in apply.out

        item.change(other)
        item.wait("the other source's change")
    item.change(source)
    item.wait("what was committed right after the restart")  # MariaDB's connector is started again by the watch
    chain.wait("a green status", lambda: chain.command("source", "status").code == EXIT_OK)


def test_connect_starts_while_a_database_is_down(chain: Chain) -> None:
    """PostgreSQL's connector tries again by itself; MariaDB's task ends, and the watch starts it again."""
    item = Watched(chain)
    with stopped(chain, "mariadb"):
        chain.system.stack.restart("connect")
        chain.wait("the task to fail", lambda: "K02" in chain.command("source", "status", "wms").out)
        assert "The watch starts it again" in chain.command("source", "status", "wms").out
        assert chain.exception("database-unreachable").source == "wms"
        item.change("erp")
        item.wait("the other source's change")
    item.change("wms")
    item.wait("what was committed right after the restart")
    chain.wait("a green status", lambda: chain.command("source", "status").code == EXIT_OK)
    chain.wait("its exceptions to close", lambda: not [one for one in chain.exceptions() if one.stage == "source"])


# ---------------------------------------------------------------- registry


def test_the_registry_is_only_needed_at_the_start_of_a_process(chain: Chain) -> None:
    before = chain.restarts()
    with chain.traffic(), stopped(chain, "registry"):
        chain.system.stack.process("orders").kill()
        chain.wait("orders to end", lambda: f"exit {EXIT_ENVIRONMENT}" in row(chain, "orders").note)
        note = row(chain, "orders").note
        assert "schema registry" in note
        assert "start it (`onhand up`)" in note
        hears_again(chain)
    chain.wait("orders to come up by itself", lambda: works(chain, "orders"))
    assert {name for name in before if restarted(chain, name, before)} == {"orders"}


# ---------------------------------------------------------------- channels


@contextmanager
def channel(chain: Chain, name: str, port: int) -> Iterator[None]:
    """One more channel: its file in the project, its process."""
    settings = chain.system.settings
    write_private(settings.secrets / "faults.properties", f"secret={SECRET}\n")
    file = chain.project / "channel-configs" / f"{name}.yaml"
    file.write_text(
        f"name: {name}\nadapter: webhook\nurl: http://127.0.0.1:{port}/hook\n"
        "secret: ${file:faults.properties:secret}\ntells: [inventory]\ntimeout_s: 1\nsettle_s: 2\n"
    )
    command = Command(
        argv=(sys.executable, "-m", "onhand.cli.main", "run", "channel", name),
        cwd=chain.project,
        environment=settings_environment(settings),
    )
    process = Process(f"channel-{name}", command, settings.data_dir / "logs" / f"channel-{name}.log")
    try:
        yield
    finally:
        process.terminate()
        code = process.wait(30)
        process.end(0)
        file.unlink()
    assert code == EXIT_OK, process.tail()


def holds_all(chain: Chain, receiver: Receiver) -> bool:
    """The channel holds what is promised."""
    held = {sku: receiver.quantities(sku)[NETWORK] for sku in list(receiver.holds)}
    return not compare_shop(chain.system.newest("inventory.atp.v1"), held)


def told_backwards(requests: list[Request]) -> list[str]:
    """Items that were told an older version after a newer one."""
    newest: dict[str, tuple[int, int]] = {}
    back = []
    for request in requests:
        for item in request.items:
            version = (int(item["version"]), int(item["sequence"]))
            if version < newest.get(item["sku"], version):
                back.append(item["sku"])
            newest[item["sku"]] = version
    return back


def repeated(requests: list[Request]) -> set[str]:
    """Idempotency ids of items that came more than once; what bears the same id, request or item, must be the same."""
    content: dict[str, Any] = {}
    again = set()
    for request in requests:
        assert content.setdefault(request.id, request.items) == request.items
        for item in request.items:
            if item["id"] in content:
                again.add(item["id"])
            assert content.setdefault(item["id"], item) == item
    return again


def test_a_failing_channel_costs_only_itself(chain: Chain) -> None:
    """One answers 500 at first, one takes effect and answers too late at first, one is down; the shop hears on."""
    failures = iter([Reply(status=500, apply=False)] * 3)
    done = threading.Event()
    silences = iter([Reply(answer_after=done)] * 2)
    with Receiver() as closed:
        port = closed.port
    failing = Receiver(lambda request: next(failures, Reply()))
    silent = Receiver(lambda request: next(silences, Reply()))
    with (
        failing,
        silent,
        channel(chain, "failing", failing.port),
        channel(chain, "silent", silent.port),
        channel(chain, "down", port),
    ):
        with chain.traffic():
            chain.wait("a channel to be down", lambda: chain.health("channel-down").get("failures_in_a_row", 0) >= 3)
            hears_again(chain)
            for receiver in (failing, silent):
                receiver.wait_for(lambda one: len(one.holds) == len(chain.system.shop.tags), "every item to be told")
            back = Receiver(port=port)
        with back:
            for receiver in (failing, silent, back):
                chain.wait("a channel to hold what is promised", partial(holds_all, chain, receiver))
                assert told_backwards(receiver.requests) == []
                assert all(request.genuine for request in receiver.requests)
            for receiver in (failing, silent):  # an item that changed meanwhile goes with its newest version instead
                assert repeated(receiver.requests) & {item["id"] for item in receiver.requests[0].items}
        done.set()
