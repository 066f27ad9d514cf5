"""Every sequence of docs/counterexamples.md, played by the rules of the state machine and shown to be reached.

A play says what it did by the machine's own rules, and asserts, from what stands in logs, stores and topics, that the
sequence has come about.  Then the chain is brought to rest and judged, as after any random life.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from schemas.messages import BalanceMessage
from schemas.records import Atp, Publication, PublicationState
from schemas.versions import epoch_of
from sinks.core.answer import Outcome
from streams.agents.runtime.marker import MARK_KEY, WRITER_HEADER, Writer, decode_marker
from tests.machine.business import ARCHIVE
from tests.machine.machine import ChainMachine

LINE, ITEM, PURCHASE, CART, UNIT, SALE = 3, 0, 4, 5, 1, 2
BIN, PICK, RECEIPT, PRODUCT = 1, 2, 3, 0
DELETE = 18
ERP, WMS = "lane-erp-0", "lane-wms-0"


def marks(m: ChainMachine, source: str) -> Iterator[tuple[str, str]]:
    """(BEGIN, END or the row's op, transaction) of a source topic, in order."""
    for record in m.chain.kafka.since(f"cdc.{source}", 0, 0):
        value = json.loads(record.value) if record.value and record.value[:1] == b"{" else {}
        if value.get("status") in ("BEGIN", "END"):
            yield value["status"], value["id"].partition(":")[0]
        elif value.get("transaction"):
            yield value["op"], value["transaction"]["id"].partition(":")[0]


def promises(m: ChainMachine, sku: str) -> list[Atp]:
    """Every promise of a sku, in the order of its topic."""
    of = sum(sku.encode()) % 2
    records = m.chain.kafka.since("inventory.atp.v1", of, 0)
    return [msgspec.msgpack.decode(r.value, type=Atp) for r in records if r.key == sku.encode() and r.value]


def balances(m: ChainMachine, source: str) -> list[BalanceMessage]:
    """Every message of a lane, to whichever partition."""
    found = []
    for partition in range(2):
        for record in m.chain.kafka.since("onhand.balance.v1", partition, 0):
            if record.value is not None:
                message = msgspec.msgpack.decode(record.value, type=BalanceMessage)
                found += [message] if message.source == source else []
    return found


def told(m: ChainMachine, state: PublicationState) -> list[Publication]:
    return [
        publication
        for partition in range(2)
        for record in m.chain.kafka.since("channel.publication.v1", partition, 0)
        if record.value and (publication := msgspec.msgpack.decode(record.value, type=Publication)).state is state
    ]


def disk(m: ChainMachine, process: str) -> dict[bytes, bytes]:
    return m.chain.processes[process].disks[0]


def codes(m: ChainMachine) -> set[str]:
    return {found.code for found in m.chain.exceptions().values()}


def tail(m: ChainMachine, process: str) -> list[bytes]:
    """Keys in a changelog behind its last marker."""
    of = m.chain.processes[process]
    keys = [record.key or b"" for record in of.kafka.since(of.changelog, of.partition, 0)]
    return keys[len(keys) - keys[::-1].index(MARK_KEY) :]


def play_1(m: ChainMachine) -> None:
    """A stretch is resent inside an open transaction, with END of another."""
    m.transaction("erp", [(LINE, 3, 4), (LINE, 4, 4)])
    m.transaction("erp", [(LINE, 3, 7), (LINE, 4, 1)])
    m.transaction("erp", [(LINE, 5, 2), (LINE, 6, 2)], 2, True)
    m.heartbeat("erp")
    m.resend("erp", [], [], 8, [3, 99])
    seen = [(what, int(of)) for what, of in marks(m, "erp")]
    last = max(of for _, of in seen)
    first, end = seen.index(("BEGIN", last)), seen.index(("END", last))
    assert ("END", last - 2) in seen[first:end]
    assert ("BEGIN", last - 2) not in seen[first:end], "it begins inside"


def play_2(m: ChainMachine) -> None:
    """The mark is durable in the changelog, the rows are not in the store."""
    m.crash(ERP, 1, "before")
    m.transaction("erp", [(LINE, 3, 4)], 99, False)
    m.work(ERP)
    of = m.chain.processes[ERP]
    assert of.owner is None
    assert of.disks[0].stands.offset + 1 < of.kafka.ends[of.changelog, 0]


def play_3(m: ChainMachine) -> None:
    """Positions begin anew."""
    m.transaction("erp", [(LINE, 3, 4)])
    m.restore("erp", 0, [(LINE, 4, 4)])
    assert "position-space-changed" in codes(m)


def play_4(m: ChainMachine) -> None:
    """A row moves twice in one poll; the batch is cut."""
    m.transaction("wms", [(BIN, 1, 3)], 99, False)
    m.transaction("wms", [(BIN, 1, 4)], 99, False)
    m.crash(WMS, 0, "torn")
    m.work(WMS)
    assert tail(m, WMS)


def play_5(m: ChainMachine) -> None:
    """A lookup changes; the batch with it and its dependents is cut."""
    m.transaction("erp", [(6 + ITEM, 1, 4)], 99, False)
    m.crash(ERP, 0, "torn")
    m.work(ERP)
    assert any(key.startswith(b"rs.item") for key in tail(m, ERP))


def play_6(m: ChainMachine) -> None:
    """TRUNCATE, reload, a lookup's change and a sweep."""
    m.truncate(True, reload=True, at_once=True)
    m.transaction("erp", [(6 + ITEM, 1, 4), (LINE, 3, 4)])
    m.snapshot("erp", missed=[(DELETE + LINE, 3, 0)])
    assert "t" in {what for what, _ in marks(m, "erp")}
    assert "sweep-waits" in codes(m) or m.chain.judge.last_unit["erp"].memo.tables["s.line"].dead_below


def play_7(m: ChainMachine) -> None:
    """A lookup with many dependents is re-asserted in slices beside later events."""
    m.transaction("erp", [(LINE, key, 8) for key in (1, 2, 3, 4)] + [(LINE, 5, 9), (LINE, 6, 9)])
    m.transaction("erp", [(6 + ITEM, 1, 4), (6 + ITEM, 2, 4), (6 + ITEM, 3, 4)], 99, False)
    m.transaction("erp", [(LINE, 1, 2)], 99, False)
    m.transaction("erp", [(LINE, 2, 3)], 99, False)
    for _ in range(12):
        m.work(ERP, 3)
    units = list(m.chain.judge.units["erp"].values())
    during = [unit.offset for unit in units if unit.memo.reasserting]
    assert len(set(during)) > 1, "events came between the slices"


def play_8(m: ChainMachine) -> None:
    """A sum becomes zero and is forgotten; its owner dies, and the delete comes again."""
    m.crash(ERP, 2, "before")
    m.transaction("erp", [(DELETE + LINE, 1, 0)], 99, False)
    m.work(ERP)
    m.resend("erp", [], [], 3, [99])
    m.flow()
    assert not [key for key in disk(m, ERP) if key[:1] == b"s" and b"SO-1" in key]
    assert any(b.postings == 0 and b.reference == "SO-1" for message in balances(m, "erp") for b in message.balances)


def play_9(m: ChainMachine) -> None:
    """The WMS is complete, the ERP is not."""
    of_b = promises(m, "B")
    assert of_b
    assert all(not atp.complete for atp in of_b)
    assert any(atp.network.on_hand > 0 for atp in of_b)
    m.tell()
    assert not m.chain.shop.channel.holds


def play_10(m: ChainMachine) -> None:
    """A transaction lies over the border of a poll, and its lane dies."""
    m.transaction("erp", [(LINE, 1, 4)], 0, False)
    m.transaction("erp", [(LINE, 3, 4), (LINE, 4, 4), (LINE, 5, 4)], 6, False)
    m.work(ERP)
    assert m.chain.processes[ERP].fetch == m.chain.kafka.ends["cdc.erp", 0]
    assert list(marks(m, "erp"))[-1][0] != "END", "it was read, and has no end yet"
    m.rebalance(ERP, "empty")


def play_11(m: ChainMachine) -> None:
    """A table is skipped by a repeated snapshot, COMPLETED arrives."""
    m.snapshot("erp", skipped="line")
    assert "snapshot-incomplete" in codes(m)
    assert [key for key in disk(m, ERP) if key[:1] == b"s" and b"demand" in key], "it was not swept"


def play_12(m: ChainMachine) -> None:
    """A purchase was due yesterday and is not received."""
    m.transaction("erp", [(PURCHASE, 1, 1)])
    row = m.chain.databases["erp"].rows["purchase"][1]
    assert row["due"] == m.chain.today - 1
    atp = promises(m, m.chain.databases["erp"].rows["item"][row["item"]]["code"])[-1]
    assert atp.network.inbound > 0
    assert atp.network.steps[0].available < atp.network.steps[-1].available


def play_13(m: ChainMachine) -> None:
    """Midnight: a promise changes, and no offset does."""
    m.transaction("erp", [(PURCHASE, 1, 3)])  # due in two days
    ends = dict(m.chain.kafka.ends)
    m.time(3 * 86_400)
    assert any(atp.cause == "clock" for sku in "ABC" for atp in promises(m, sku))
    assert m.chain.kafka.ends["cdc.erp", 0] == ends["cdc.erp", 0]


def play_14(m: ChainMachine) -> None:
    """Another mapping, with a crash between."""
    m.crash(ERP, 3, "before")
    m.switch_mapping("erp")
    m.crash(ERP, 1, "after")
    m.transaction("erp", [(LINE, 3, 4)])
    log = m.chain.kafka.since(m.chain.processes[ERP].changelog, 0, 0)
    prints = {decode_marker(r.value).fingerprint for r in log if r.key == MARK_KEY and r.value}
    assert {bytes([1]) * 32, bytes([2]) * 32} <= prints


def play_15(m: ChainMachine) -> None:
    """Bytes that cannot be read; what waited behind them is taken up at offsets long passed."""
    m.poison("erp", 1, [(LINE, 1, 5)])
    m.transaction("erp", [(LINE, 4, 5)])
    assert [key for key in disk(m, ERP) if key[:1] == b"w"]
    m.close_poison("erp")
    assert not [key for key in disk(m, ERP) if key[:1] == b"w"]
    assert "poison-record" not in codes(m)


def play_16(m: ChainMachine) -> None:
    """The source topic is recreated; retention passes what was not read."""
    m.lose_log("erp", True)
    m.lose_log("wms", False)
    assert "was recreated" in m.stopped[0]
    assert "retention" in m.stopped[1]


def play_17(m: ChainMachine) -> None:
    """The lane's state is lost and rebuilt by a snapshot; rows were deleted meanwhile."""
    before = set(m.chain.databases["erp"].rows["item"])
    m.lose_state("erp", True)
    assert set(m.chain.databases["erp"].rows["item"]) < before
    epochs = {
        epoch_of(p.progress.restated_since) for p in balances(m, "erp") if p.progress and p.progress.restated_since
    }
    assert len(epochs) > 1, "restated under another epoch"


def play_18(m: ChainMachine) -> None:
    """v5 times out and still runs at the channel; v6 is acknowledged; v5 lands."""
    m.tell()
    m.transaction("wms", [(BIN, 1, 3)])
    m.push(Outcome.TIMED_OUT, 15, False, 0)
    late = {item.publication.key for _, push in m.chain.shop.in_the_air for item in push.items}
    m.transaction("wms", [(BIN, 1, 6), (BIN, 2, 6), (BIN, 3, 6)])
    m.time(1)
    m.tell()
    acknowledged = {p.key: p.source_version for p in told(m, PublicationState.ACKNOWLEDGED)}
    m.time(20)
    holds = m.chain.shop.channel.holds
    assert any(holds[key][0] < acknowledged[key] for key in late if key in holds)


def play_19(m: ChainMachine) -> None:
    """A kit is made of one item in another partition, of which nothing is left."""
    kit, part = "L", m.chain.databases["erp"].rows["item"][2]["code"]
    assert sum(kit.encode()) % 2 != sum(part.encode()) % 2
    m.chain.commit("erp", [("put", "item", 9, {"code": kit, "name": "kit"})])
    m.chain.commit("erp", [("put", "kit", 1, {"item": 9, "part": 2, "quantity": 1})])
    m.connector("erp")
    assert promises(m, kit)[-1].network.available_now > 0
    m.chain.commit("wms", [("delete", "bin", key, {}) for key in list(m.chain.databases["wms"].rows["bin"])])
    m.connector("wms")
    assert promises(m, part)[-1].network.available_now <= 0
    assert promises(m, kit)[-1].network.available_now <= 0


def play_20(m: ChainMachine) -> None:
    """All demand is deleted and inserted again: at once, and with commits between."""
    before = {sku: atp.network.available_now for sku, atp in m.chain.judge.told.items()}
    counts = {sku: len(promises(m, sku)) for sku in before}
    m.truncate(True, reload=True, at_once=True)
    m.truncate(True, reload=True, at_once=False)
    m.truncate(False, reload=True)
    assert [what for what, _ in marks(m, "erp")].count("t") == 2
    for sku, at_most in before.items():
        assert all(atp.network.available_now <= at_most for atp in promises(m, sku)[counts[sku] :])


def play_21(m: ChainMachine) -> None:
    """A snapshot beside an older slot: a row goes v3 → v1 → v2 → v3."""
    for how in (2, 5, 8):
        m.transaction("wms", [(BIN, 1, how)])
    m.snapshot("wms", older_slot=12)
    database = m.chain.databases["wms"]
    assert database.cursor < database.passing
    assert m.chain.judge.last_unit["wms"].memo.passing is not None
    m.connector("wms", 99)


def play_22(m: ChainMachine) -> None:
    """The WMS has fulfilled 5; the ERP, later, says the same of the same line."""
    m.transaction("erp", [(LINE, 1, 7)])
    m.transaction("wms", [(PICK, 1, 4)])
    row = {**m.chain.databases["erp"].rows["line"][1], "shipped": 5}
    m.chain.commit("erp", [("put", "line", 1, row)])
    m.connector("erp")
    fulfilled = {
        message.source
        for source in ("erp", "wms")
        for message in balances(m, source)
        for balance in message.balances
        if balance.bucket == "fulfilled" and balance.reference == "SO-1"
    }
    assert fulfilled == {"erp", "wms"}


def play_23(m: ChainMachine) -> None:
    """A reservation of 5, and the ERP imports the first 2."""
    rows = {"sale": 1, "item": 1, "unit": None, "quantity": 2, "shipped": None, "due": None}
    m.chain.commit("erp", [("put", "cart", 1, {"item": 1, "line": 9, "quantity": 5, "until": None})])
    m.chain.commit("erp", [("put", "line", 9, rows)])
    m.connector("erp")
    assert promises(m, m.chain.databases["erp"].rows["item"][1]["code"])[-1].network.reserved == 3


def play_24(m: ChainMachine) -> None:
    """Two of three receipts of a purchase line are archived."""
    m.transaction("wms", [(RECEIPT, 1, 0), (RECEIPT, 1, 0), (RECEIPT, 1, 0)])
    m.transaction("wms", [(ARCHIVE, 1, 0), (ARCHIVE, 1, 0)])
    database = m.chain.databases["wms"]
    assert (len(database.archived), len(database.rows["receipt"])) == (2, 1)


def play_25(m: ChainMachine) -> None:
    """A former owner writes late; the next one dies before it has put those keys again; compaction."""
    m.transaction("wms", [(BIN, 1, 3)])
    m.crash(WMS, 0, "late")
    m.transaction("wms", [(BIN, 1, 6)], 99, False)
    m.work(WMS)
    m.rebalance(WMS)
    m.transaction("wms", [(BIN, 1, 7)])
    m.wake_former(WMS)
    m.crash(WMS, 2, "before")
    m.rebalance(WMS)
    of = m.chain.processes[WMS]
    assert of.owner is None
    log = of.kafka.since(of.changelog, of.partition, 0)
    writers = [Writer.load(dict(record.headers)[WRITER_HEADER]).epoch for record in log]
    assert writers != sorted(writers), "an older owner wrote behind a newer one"
    m.rebalance(WMS)
    m.compaction()


def play_26(m: ChainMachine) -> None:
    """A sku with a message above the limit leaves in parts of one version."""
    m.transaction("erp", [(LINE, key, (6 - key) % 3) for key in (1, 2, 3, 4, 5, 6)])
    m.restate("erp")
    assert any(message.parts > 1 for message in balances(m, "erp"))


def play_27(m: ChainMachine) -> None:
    """A lane begins anew and replays: it says "not complete" again."""
    promised = {sku: atp.version for sku, atp in m.chain.judge.told.items()}
    m.lose_state("erp", False)
    said = [message.progress.complete for message in balances(m, "erp") if message.progress is not None]
    assert False in said[said.index(True) :], "complete, and then not any more"
    assert all(m.chain.judge.told[sku].complete for sku in promised)


def play_28(m: ChainMachine) -> None:
    """Decreases come faster than the channel takes them; a restock waits."""
    m.tell()
    m.change_rule(0, True)
    m.time(1)
    restocked = m.chain.databases["wms"].rows["product"][1]["code"]
    for second in range(9):
        bins = {key: {"product": key, "place": "1", "quantity": 90 - second} for key in (2, 3)}
        bins[1] = {"product": 1, "place": "1", "quantity": 50}
        m.chain.commit("wms", [("put", "bin", key, row) for key, row in bins.items()])
        m.connector("wms")
        m.time(1)
        m.tell(1)
        assert len(m.chain.shop.workers[0].desk) > 0, "more comes than leaves"
    assert m.chain.shop.channel.holds[restocked][0] == promises(m, restocked)[-1].version, "the restock left"


def play_29(m: ChainMachine) -> None:
    """An owner is paused between lease and socket, and goes on after the take-over."""
    sku = "C"
    of = f"inventory-{sum(sku.encode()) % 2}"
    for steps in range(2, 12):
        m.crash(of, steps, "late")
        m.transaction("wms", [(BIN, key, steps % 9) for key in (1, 2, 3, 4, 5)])
        m.chain.processes[of].fault = None
        m.rebalance(of)
        m.transaction("wms", [(BIN, key, (steps + 4) % 9) for key in (1, 2, 3, 4, 5)])
        m.wake_former(of)
        versions = [atp.version for atp in promises(m, sku)]
        if versions and versions[-1] < max(versions):
            return
    raise AssertionError("no late output became the newest of its key")


PLAYS: dict[int, Callable[[ChainMachine], None]] = {
    int(name[5:]): play for name, play in list(globals().items()) if name.startswith("play_")
}
BEGINS: dict[int, dict[str, Any]] = {7: {"slices": True}, 9: {"complete": False}, 26: {"slices": True}}


def test_every_sequence_has_a_play() -> None:
    assert PLAYS.keys() == set(range(1, 30))


def judged(play: Callable[[ChainMachine], None], **begins: Any) -> None:
    """Play it, come to rest, be judged; and promises were compared with the model on the way."""
    machine = ChainMachine()
    try:
        machine.begin(**begins)
        play(machine)
        machine.nothing_is_wrong()
    finally:
        machine.teardown()
    assert machine.chain.judge.checked > 2


def played(number: int) -> None:
    """One of the sequences."""
    judged(PLAYS[number], **BEGINS.get(number, {}))


@pytest.mark.parametrize("number", PLAYS)
def test_the_machine_reaches(number: int) -> None:
    played(number)
