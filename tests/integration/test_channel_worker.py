"""The channel worker as a process, on real Kafka and registry, against a real HTTP receiver."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.records import ExceptionStatus, PublicationState, Stamps
from sinks.workers import wire
from tests.integration.sinks_rig import Rig, wait_until
from tests.receiver import Receiver, Reply, Request
from tests.stack import RunningStack
from tests.unit.sinks.facts import atp

pytestmark = pytest.mark.integration


@pytest.fixture
def rig(stack: RunningStack, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(stack, tmp_path)
    yield made
    made.close()


def version_of(receiver: Receiver, sku: str) -> str | None:
    return receiver.holds.get(sku, {}).get("version")


def shared(rig: Rig) -> bool:
    """Two workers own all partitions, each some."""
    names = (f"channel-{rig.channel}", f"channel-{rig.channel}@1")
    owned = [rig.health(name).get("partitions") or [] for name in names]
    everything = sorted(partition for partitions in owned for partition in partitions)
    return all(owned) and everything == list(range(rig.settings.partitions))


def test_it_tells_what_is_complete_records_every_stamp_and_after_a_restart_nothing_again(rig: Rig) -> None:
    first, second, half, later = map(rig.sku, ("first", "second", "half", "later"))
    with Receiver() as receiver:
        rig.write_rule(receiver)
        rig.publish(atp(first, 1, 5), atp(first, 2, 6), atp(second, 1, 7), atp(half, 1, 9, complete=False))
        worker = rig.start_channel()
        receiver.wait_for(lambda at: version_of(at, first) == "2" and second in at.holds, "both are told")
        assert all(request.genuine for request in receiver.requests)
        rig.publish(atp(second, 2, 8, stamps=Stamps(committed_us=11, captured_us=12, laned_us=13, promised_us=14)))
        receiver.wait_for(lambda at: version_of(at, second) == "2", "the newer version")
        worker.terminate()
        assert worker.wait(30) == 0
        told = rig.publications()[f"{rig.channel}/inventory/{second}"]
        assert (told.state, told.source_version) == (PublicationState.ACKNOWLEDGED, 2)
        assert told.quantities == {"*": Decimal(8)}
        assert told.stamps == Stamps(committed_us=11, captured_us=12, laned_us=13, promised_us=14)
        assert told.picked_up_us is not None
        assert told.sent_us is not None
        assert told.acknowledged_us is not None
        assert told.picked_up_us <= told.sent_us <= told.acknowledged_us
        before = len(receiver.requests)
        rig.start_channel()
        rig.publish(atp(later, 1, 1))
        receiver.wait_for(lambda at: later in at.holds, "what is new")
        assert {key for request in receiver.requests[before:] for key in request.keys if key.startswith(rig.tag)} == {
            later
        }
        assert half not in receiver.holds


def test_kill_9_between_intent_and_answer_has_it_told_again_under_a_new_id(rig: Rig) -> None:
    sku, release = rig.sku("A"), threading.Event()
    arrived: list[Request] = []

    def hang(request: Request) -> Reply:
        if sku in request.keys:
            arrived.append(request)
            return Reply(wait=release if len(arrived) == 1 else None)
        return Reply()

    with Receiver(hang) as receiver:
        rig.write_rule(receiver)
        worker = rig.start_channel()
        rig.publish(atp(sku, 1, 5))
        receiver.wait_for(lambda at: bool(at.told(sku)), "the first request arrives")
        worker.kill()
        worker.wait()
        assert rig.publications()[f"{rig.channel}/inventory/{sku}"].state is PublicationState.INTENT
        rig.start_channel()
        receiver.wait_for(lambda at: len(at.told(sku)) >= 2, "told again")
        release.set()
        one, two = (next(item for item in request.items if item["sku"] == sku) for request in receiver.told(sku)[:2])
        assert (one["version"], one["sequence"]) == ("1", 0)
        assert (two["version"], two["sequence"]) == ("1", 1)
        assert one["id"] != two["id"]


def test_410_disables_and_a_person_resumes_pauses_and_resends(rig: Rig) -> None:
    one, two = rig.sku("A"), rig.sku("B")
    gone = True
    with Receiver(lambda request: Reply(410, apply=False) if gone else Reply()) as receiver:
        rig.write_rule(receiver)
        rig.publish(atp(one, 1, 5))
        rig.start("channel", rig.channel)
        identity = f"channel/{rig.channel}/channel-disabled/{rig.channel}"
        wait_until(lambda: identity in rig.exceptions(), "the exception is there")
        assert "disabled" in rig.onhand("channel", "status", rig.channel, "--json").stdout
        gone = False
        assert rig.onhand("channel", "resume", rig.channel).returncode == 0
        receiver.wait_for(lambda at: one in at.holds, "told after resume")
        wait_until(lambda: rig.exceptions()[identity].status is ExceptionStatus.CLOSED, "the exception closes")
        assert rig.onhand("channel", "pause", rig.channel).returncode == 0
        wait_until(lambda: rig.health(f"channel-{rig.channel}").get("state") == "paused", "paused")
        rig.publish(atp(two, 1, 5))
        wait_until(lambda: rig.health(f"channel-{rig.channel}").get("waiting", 0) >= 1, "it waits")
        assert two not in receiver.holds
        assert rig.onhand("channel", "resume", rig.channel).returncode == 0
        receiver.wait_for(lambda at: two in at.holds, "told after the pause")
        assert rig.onhand("channel", "resend", rig.channel, "--key", one).returncode == 0
        receiver.wait_for(lambda at: at.holds[one]["sequence"] == 1, "told again")


def test_a_changed_rule_is_told_at_once_and_a_wrong_one_is_not_used(rig: Rig) -> None:
    sku = rig.sku("A")
    with Receiver() as receiver:
        rig.write_rule(receiver)
        rig.publish(atp(sku, 1, 10))
        rig.start_channel()
        receiver.wait_for(lambda at: sku in at.holds, "told")
        rig.write_rule(receiver, buffer=4)
        receiver.wait_for(lambda at: at.quantities(sku) == {"*": Decimal(6)}, "told under the new rule")
        rig.write_rule(receiver, buffer=-4)
        identity = f"channel/{rig.channel}/channel-rule-invalid/{rig.channel}"
        wait_until(lambda: identity in rig.exceptions(), "the exception says so")
        assert "buffer" in rig.exceptions()[identity].detail
        rig.publish(atp(sku, 2, 20))
        receiver.wait_for(lambda at: at.quantities(sku) == {"*": Decimal(16)}, "the former rule stays in force")


def test_a_rejected_item_is_parked_and_retried_by_a_person(rig: Rig) -> None:
    good, bad = [rig.sku(f"G{n}") for n in range(5)], rig.sku("bad")
    refuse = True

    def picky(request: Request) -> Reply:
        return Reply(422, apply=False, body="no such item") if refuse and bad in request.keys else Reply()

    with Receiver(picky) as receiver:
        rig.write_rule(receiver)
        rig.publish(*(atp(sku, 1, 5) for sku in [*good, bad]))
        rig.start_channel()
        receiver.wait_for(lambda at: set(good) <= set(at.holds), "the good ones are told")
        identity = f"channel/{rig.channel}/channel-item-rejected/inventory/{bad}"
        wait_until(lambda: identity in rig.exceptions(), "the bad one is parked")
        assert rig.publications()[f"{rig.channel}/inventory/{bad}"].state is PublicationState.PARKED
        shown = rig.onhand("exceptions", "show", identity)
        assert "no such item" in shown.stdout
        refuse = False
        assert rig.onhand("exceptions", "retry", identity).returncode == 0
        receiver.wait_for(lambda at: bad in at.holds, "told after retry")
        wait_until(lambda: rig.exceptions()[identity].status is ExceptionStatus.CLOSED, "closed by itself")


def test_a_worker_that_was_stopped_cannot_leave_an_old_version_behind(rig: Rig) -> None:
    """Counterexample 29: a former owner wakes up after take-over and its request lands last."""
    skus = [rig.sku(f"S{n}") for n in range(8)]
    release = threading.Event()
    held: list[Request] = []

    def hold_first(request: Request) -> Reply:
        if not held and set(skus) & set(request.keys):
            held.append(request)
            return Reply(wait=release)
        return Reply()

    with Receiver(hold_first) as receiver:
        rig.write_rule(receiver, settle_s=5)
        former = rig.start_channel()
        rig.publish(*(atp(sku, 1, 10) for sku in skus))
        receiver.wait_for(lambda at: bool(held), "the former owner's request is on its way")
        former.send_signal(signal.SIGSTOP)
        rig.start_channel(instance="1")
        rig.publish(*(atp(sku, 2, 20) for sku in skus))
        receiver.wait_for(lambda at: all(version_of(at, sku) == "2" for sku in skus), "the new owner tells the newest")
        late = held[0].keys
        release.set()
        receiver.wait_for(lambda at: all(version_of(at, sku) == "1" for sku in late), "the old request lands")
        former.send_signal(signal.SIGCONT)
        receiver.wait_for(lambda at: all(version_of(at, sku) == "2" for sku in skus), "the newest is told once more")


def test_a_topic_that_was_made_anew_takes_nothing_back_before_inventory_has_said_all_it_knows(rig: Rig) -> None:
    kept, gone = rig.sku("kept"), rig.sku("gone")
    name = f"channel-{rig.channel}"
    with Receiver() as receiver:
        rig.write_rule(receiver)
        rig.publish(atp(kept, 1, 5), atp(gone, 1, 7))
        rig.state_whole()
        worker = rig.start_channel()
        receiver.wait_for(lambda at: {kept, gone} <= set(at.holds), "both are told")
        worker.terminate()
        assert worker.wait(30) == 0

        rig.lose(wire.ATP)
        rig.publish(atp(kept, 2, 6))
        rig.start_channel()
        receiver.wait_for(lambda at: version_of(at, kept) == "2", "what is said again")
        wait_until(lambda: rig.health(name)["withheld"] > 0, "the other is waited for")
        rig.publish(atp(kept, 3, 4))
        receiver.wait_for(lambda at: version_of(at, kept) == "3", "the chain goes on")
        assert receiver.holds[gone]["quantities"] == {"*": "7"}

        rig.state_whole()
        receiver.wait_for(lambda at: at.holds[gone]["quantities"] == {"*": "0"}, "no source knows it any more")
        assert receiver.holds[kept]["quantities"] == {"*": "4"}
        wait_until(lambda: rig.health(name)["withheld"] == 0, "nothing is waited for")


def test_two_workers_share_the_keys(rig: Rig) -> None:
    skus = [rig.sku(f"S{n}") for n in range(40)]
    with Receiver() as receiver:
        rig.write_rule(receiver)
        rig.start_channel()
        rig.start_channel(instance="1")
        wait_until(lambda: shared(rig), "each has partitions")
        rig.publish(*(atp(sku, 1, 5) for sku in skus))
        receiver.wait_for(lambda at: set(skus) <= set(at.holds), "all are told")
        assert {len(receiver.told(sku)) for sku in skus} == {1}
