"""Dirty map, pace, ids, histogram: properties."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Stamps
from sinks.core.complaints import Complaints
from sinks.core.dirty import DirtyMap, Waiting
from sinks.core.histogram import RELATIVE_ERROR, bucket_of, percentile, value_of
from sinks.core.ids import Stamp, message_id, publication_id
from sinks.core.ledger import Telling
from sinks.core.pace import TokenBucket, backoff_s
from tests.unit.sinks.facts import SECOND


def waiting(since_us: int, falling: bool = False, committed_us: int | None = None) -> Waiting:
    return Waiting(since_us, falling, Stamps(committed_us=committed_us), "erp")


def test_order_of_leaving() -> None:
    dirty = DirtyMap()
    for name, since_us, falling in [("up1", 50, False), ("down2", 70, True), ("down1", 60, True), ("up0", 1, False)]:
        dirty.put(("inventory", name), waiting(since_us, falling))
    taken = dirty.take(9, now_us=100, limit_us=90)
    assert [key[1] for key, _ in taken] == ["up0", "down1", "down2", "up1"]
    assert len(dirty) == 0


def test_counterexample_28_restocks_leave_although_decreases_never_end() -> None:
    dirty = DirtyMap()
    dirty.put(("inventory", "restock"), waiting(0))
    left_at = None
    for now in range(0, 100 * SECOND, SECOND):
        for n in range(5):
            dirty.put(("inventory", f"sale{now}-{n}"), waiting(now, falling=True))
        if ("inventory", "restock") in [key for key, _ in dirty.take(2, now, limit_us=30 * SECOND)]:
            left_at = now
            break
    assert left_at is not None
    assert left_at <= 32 * SECOND


def test_a_conflated_entry_keeps_the_oldest_change_and_the_newest_direction() -> None:
    dirty = DirtyMap()
    dirty.put(("inventory", "A"), waiting(10, False, committed_us=5))
    dirty.put(("inventory", "A"), waiting(20, True, committed_us=15))
    assert dirty.take(1, 0, 0) == [(("inventory", "A"), waiting(10, True, committed_us=5))]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(0, 100), st.booleans(), st.sampled_from(["put", "put", "take", "drop"])
        )
    )
)
def test_the_map_holds_each_key_once_and_is_bounded(steps: list[tuple[int, int, bool, str]]) -> None:
    dirty, model = DirtyMap(), dict[str, tuple[int, bool]]()
    for n, since_us, falling, step in steps:
        key = f"k{n}"
        if step == "put":
            dirty.put(("inventory", key), waiting(since_us, falling))
            model[key] = (min(since_us, model.get(key, (since_us, False))[0]), falling)
        elif step == "drop":
            dirty.discard(("inventory", key))
            model.pop(key, None)
        else:
            taken = dirty.take(1, now_us=0, limit_us=1000)
            if model:
                best = min(model, key=lambda name: (not model[name][1], model[name][0], name))
                assert [key for key, _ in taken] == [("inventory", best)]
                model.pop(best)
            else:
                assert taken == []
        assert len(dirty) == len(model)
        assert dirty.oldest_us() == min((since for since, _ in model.values()), default=None)
        assert len(dirty._all) + len(dirty._falling) + len(dirty._others) <= 4 * len(model) + 67


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 30)), min_size=1))
def test_pace_is_never_exceeded(steps: list[tuple[int, int]]) -> None:
    bucket, now_us, sent = TokenBucket(per_second=10, burst=5, now_us=0), 0, 0
    for wait_ms, wanted in steps:
        now_us += wait_ms * 1000
        count = min(wanted, bucket.available(now_us))
        bucket.take(count)
        sent += count
        assert sent <= 5 + now_us * 10 / SECOND + 1e-6


def test_pace_says_when_the_next_may_go() -> None:
    bucket = TokenBucket(per_second=10, burst=1, now_us=0)
    bucket.take(bucket.available(0))
    assert bucket.available(bucket.wait_us() - 200) == 0
    bucket = TokenBucket(per_second=10, burst=1, now_us=0)
    bucket.take(bucket.available(0))
    assert bucket.available(bucket.wait_us()) == 1


def test_backoff_doubles_and_is_bounded() -> None:
    assert [backoff_s(n) for n in (0, 1, 2, 3, 99)] == [0, 0.25, 0.5, 1, 60]


def test_ids_are_stable_and_tell_everything_apart() -> None:
    stamp = Stamp(1, 2, 3, 4)
    base = publication_id("shop", "inventory", "A", stamp)
    assert base == publication_id("shop", "inventory", "A", Stamp(1, 2, 3, 4))
    others = [stamp._replace(**{field: 9}) for field in stamp._fields]
    ids = {publication_id("shop", "inventory", "A", other) for other in others}
    ids |= {publication_id("shop", "order", "A", stamp), publication_id("s", "inventory", "A", stamp)}
    assert len(ids | {base}) == len(others) + 3
    assert message_id(["a", "b"]) != message_id(["b", "a"])


def test_an_id_is_never_used_for_two_things_when_a_rule_comes_back() -> None:
    telling, used = Telling(0), []
    for rule_version in (1, 2, 1, 2):
        stamp = telling.next_stamp(7, rule_version, 0)
        telling.intend(stamp)
        telling.settle(stamp, {"*": Decimal(rule_version)}, 10, 0)
        used.append(stamp)
    assert len(set(used)) == 4


@given(st.integers(2, 10**12))
def test_a_bucket_is_told_with_at_most_two_percent_error(duration_us: int) -> None:
    assert abs(value_of(bucket_of(duration_us)) - duration_us) / duration_us <= RELATIVE_ERROR + 1e-9
    assert RELATIVE_ERROR <= 0.02


@given(st.lists(st.integers(1, 10**9), min_size=1), st.lists(st.integers(1, 10**9)), st.sampled_from([0.5, 0.99, 1.0]))
def test_percentiles_of_merged_histograms(one: list[int], other: list[int], share: float) -> None:
    counts: dict[int, int] = {}
    for durations in (one, other):
        for duration in durations:
            counts[bucket_of(duration)] = counts.get(bucket_of(duration), 0) + 1
    everything = sorted(one + other)
    exact = everything[max(0, -int(-(share * len(everything)) // 1) - 1)]
    found = percentile(counts, share, everything[-1])
    assert found is not None
    assert abs(found - exact) / exact <= 0.0201


def test_the_versions_of_an_exception_grow_also_when_the_clock_is_set_back() -> None:
    complaints = Complaints("shop")
    (opened,) = complaints.open("code", "subject", "one", "act", now_us=100)
    (again,) = complaints.open("code", "subject", "other", "act", now_us=50)
    (closed,) = complaints.close("code", "subject", now_us=20)
    assert opened.version < again.version < closed.version
