"""Log-bucket histograms of durations: they merge exactly, and any percentile of a merge is off by at most 2 %.

Bucket i holds the durations in (GAMMA^(i-1), GAMMA^i] microseconds; what is at most 1 µs (also a negative duration,
which two clocks can make of a short one) is in bucket 0.  A bucket is told as the value whose relative error to both of
its ends is the same, (GAMMA - 1)/(GAMMA + 1) = 1.96 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

GAMMA = 1.04
RELATIVE_ERROR = (GAMMA - 1) / (GAMMA + 1)

BUCKET_SQL = f"toUInt16(if({{us}} <= 1, 0, ceil(log({{us}}) / log({GAMMA}))))"
"""`bucket_of` in ClickHouse's SQL; `{us}` is the duration's column."""


def bucket_of(duration_us: int) -> int:
    """The bucket of a duration."""
    return 0 if duration_us <= 1 else math.ceil(math.log(duration_us) / math.log(GAMMA))


def value_of(bucket: int) -> float:
    """The duration a bucket is told as, in microseconds."""
    return 1.0 if bucket == 0 else 2 * GAMMA**bucket / (GAMMA + 1)


def percentile(counts: Mapping[int, int], share: float, longest_us: int | None = None) -> float | None:
    """The duration that `share` (0 < share ≤ 1) of all are not above, in microseconds; None: nothing is counted.

    Nearest rank.  `longest_us`, when it is known exactly, bounds the answer.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank = max(1, math.ceil(share * total))
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0:
            value = value_of(bucket)
            return value if longest_us is None else min(value, float(longest_us))
    raise AssertionError("ranks and counts disagree")
