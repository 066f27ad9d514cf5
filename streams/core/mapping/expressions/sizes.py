"""SQL Server: precision and scale of what is computed from decimals, by its documentation.

Source: learn.microsoft.com/sql/t-sql/data-types/precision-scale-and-length-transact-sql.
"""

from __future__ import annotations

from streams.core.mapping.expressions.value import Size

_MOST = 38
_LEAST_SCALE = 6


def of_sum(a: Size, b: Size) -> Size:
    """a + b, a − b."""
    whole, scale = max(a.precision - a.scale, b.precision - b.scale), max(a.scale, b.scale)
    precision = whole + scale + 1
    return Size(precision, scale) if precision <= _MOST else Size(_MOST, min(scale, _MOST - whole))


def of_product(a: Size, b: Size) -> Size:
    return _within(a.precision + b.precision + 1, a.scale + b.scale)


def of_quotient(a: Size, b: Size) -> Size:
    scale = max(_LEAST_SCALE, a.scale + b.precision + 1)
    return _within(a.precision - a.scale + b.scale + scale, scale)


def of_choice(sizes: list[Size | None]) -> Size | None:
    """What CASE makes of its branches; None where it would lose digits."""
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes) or not known:
        return None
    scale = max(size.scale for size in known)
    precision = max(size.precision - size.scale for size in known) + scale
    return Size(precision, scale) if precision <= _MOST else None


def _within(precision: int, scale: int) -> Size:
    """Too many digits in all: the fraction gives way, but not below six digits."""
    if precision <= _MOST:
        return Size(precision, scale)
    whole = precision - scale
    if whole < _MOST - _LEAST_SCALE:
        return Size(_MOST, min(scale, _MOST - whole))
    return Size(_MOST, min(scale, _LEAST_SCALE))
