"""A view is a dict over a dict: whatever is written, scans and sizes agree with the merged pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.agents.runtime.view import RECORD_OVERHEAD, UnitView
from tests.unit.runtime.test_scheme import DictState

KEYS = st.binary(min_size=1, max_size=3).map(lambda raw: b"k" + raw)
VALUES = st.one_of(st.none(), st.binary(max_size=4))


@given(
    st.dictionaries(KEYS, st.binary(max_size=4)),
    st.lists(st.tuples(KEYS, VALUES, st.booleans())),
    st.binary(max_size=2).map(lambda raw: b"k" + raw),
    st.binary(max_size=3),
)
def test_scan_and_get_see_unsettled_writes_over_settled_ones(
    settled: dict[bytes, bytes], writes: list[tuple[bytes, bytes | None, bool]], prefix: bytes, start: bytes
) -> None:
    view = UnitView(DictState(settled))
    merged: dict[bytes, bytes] = dict(settled)
    for key, value, scan_between in writes:
        view.put(key, value)
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
        if scan_between:
            list(view.scan(b""))
    assert list(view.scan(prefix, start)) == sorted(
        (key, value) for key, value in merged.items() if key.startswith(prefix) and key >= start
    )
    assert all(view.get(key) == merged.get(key) for key, _, _ in writes)
    assert view.size == sum(len(key) + len(value or b"") + RECORD_OVERHEAD for key, value in view.changes.items())


def test_a_scan_is_not_disturbed_by_writes_made_while_it_runs() -> None:
    view = UnitView(DictState({b"a1": b"x", b"a3": b"x"}))
    view.put(b"a2", b"x")
    seen = []
    for key, _ in view.scan(b"a"):
        seen.append(key)
        view.put(key, None)
        view.put(b"a9", b"x")
    assert seen == [b"a1", b"a2", b"a3"]
    assert [key for key, _ in view.scan(b"a")] == [b"a9"]
