"""What generated code calls to make and check its output rows.  Each raises RowError for what no contract can hold."""

from __future__ import annotations

import string
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from schemas.messages import ItemPart, LocationPart
from schemas.records import QUANTITY_SCALE, Bucket
from streams.core.mapping import semantics
from streams.core.mapping.model import ComponentRow, OrderRow, Posting
from streams.core.mapping.semantics import unmappable

BUCKETS = {bucket.value: bucket for bucket in Bucket if bucket is not Bucket.UNKNOWN}
BLANKS = string.whitespace + "\u00a0\u3000"
DOUBTFUL = BLANKS + "~"
"""What a key may begin with that is wrong; with a blank at its beginning it may be right."""
_WHOLE_DIGITS = 29
"""Digits before the point that the contract's decimal(38, 9) holds."""
_LIMIT = Decimal(10) ** _WHOLE_DIGITS


def check_key(name: str, value: str | None) -> None:
    """Raises RowError for a text that names nothing; called for those that may: see `DOUBTFUL`."""
    if not value or value.isspace():
        raise unmappable(f"{name} is {'NULL' if value is None else 'blank' if value else 'empty'}")
    if value[0] == "~":
        raise unmappable(f"{name} {value!r} begins with ~, which is onhand's own")


def bad_bucket(value: str | None) -> None:
    raise unmappable(f"bucket {value!r} is none of {', '.join(BUCKETS)}")


def bad_quantity(value: Decimal | None) -> None:
    if value is None:
        raise unmappable("quantity is NULL")
    raise unmappable(f"quantity {value} has more than {_WHOLE_DIGITS} digits before the point")


def bad_component(kit: str, component: str, quantity: Decimal) -> None:
    """Raises RowError when one kit cannot be made of so much of it."""
    if component == kit:
        raise unmappable(f"kit {kit!r} is a component of itself")
    if quantity <= 0:
        raise unmappable(f"{quantity} of {component!r} in kit {kit!r}: leave the row out with WHERE")


def fine_enough(value: Decimal) -> None:
    """Raises RowError when a quantity has digits the contract cannot hold."""
    if int(value.as_tuple().exponent) < -QUANTITY_SCALE and semantics.round_half_up(value, QUANTITY_SCALE) != value:
        raise unmappable(f"quantity {value:f} has more than {QUANTITY_SCALE} digits after the point")
    if not -_LIMIT < value < _LIMIT:
        bad_quantity(value)


def quantity_text(value: Decimal) -> str:
    """Plain text of a quantity.  Raises RowError."""
    fine_enough(value)
    return short_text(value)


def short_text(value: Decimal) -> str:
    """Plain text of a quantity whose digits after the point are known to be few.  Raises RowError."""
    if not -_LIMIT < value < _LIMIT:
        bad_quantity(value)
    return format(value if value else abs(value), "f")


def map_status(
    attributes: dict[str, str | None],
    raw: dict[str, str | None],
    unmapped: list[str],
    name: str,
    code: str | None,
    symbols: Mapping[str, str],
) -> None:
    """The contract's symbol of a source's code; a code that source.yaml does not map is never guessed."""
    raw[name] = code
    if code is None:
        attributes[name] = None
    elif code in symbols:
        attributes[name] = symbols[code]
    else:
        unmapped.append(name)


RUNTIME: dict[str, Any] = {
    "new": tuple.__new__,
    "Posting": Posting,
    "ItemPart": ItemPart,
    "ComponentRow": ComponentRow,
    "LocationPart": LocationPart,
    "OrderRow": OrderRow,
    "BUCKETS": BUCKETS,
    "LIMIT": _LIMIT,
    "MINUS_LIMIT": -_LIMIT,
    "read_day": semantics.read_day,
    "BLANKS": BLANKS,
    "DOUBTFUL": DOUBTFUL,
    "check_key": check_key,
    "bad_bucket": bad_bucket,
    "bad_quantity": bad_quantity,
    "fine_enough": fine_enough,
    "bad_component": bad_component,
    "quantity_text": quantity_text,
    "short_text": short_text,
    "map_status": map_status,
}
