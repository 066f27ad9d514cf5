"""Rows as Debezium sends them: exact values, absent columns, placeholders, keys, the row store."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from streams.core.mapping.catalogue import Column, Table
from streams.core.mapping.decoders import UNAVAILABLE, RowCodec
from streams.core.mapping.model import RowError
from tests.unit.mapping.tables import catalogue, image

TABLE = catalogue(f="id:i! t:t? n:n? d:d? b:b? x:x? other:t?").tables["f"]
CODEC = RowCodec(TABLE, {"t", "n", "d", "b"}, "postgres")
ROW = image(id=1, t="a", n="1.50", d="2026-11-24Z", b=True, x="never read", other=7)


def test_only_needed_columns_are_decoded_and_numbers_are_exact() -> None:
    row = CODEC.decode(ROW)
    assert msgspec.structs.astuple(row) == (True, "2026-11-24Z", 1, Decimal("1.50"), "a")
    assert CODEC.columns == ("b", "d", "id", "n", "t")
    assert CODEC.key_of(row) == CODEC.decode_key(b'{"id":1}') == (1,)


def test_an_absent_column_is_not_null() -> None:
    row = CODEC.decode(image(id=1, t=None, n=None, d=None))
    assert row.b is msgspec.UNSET
    assert CODEC.absent(row) == ("b",)
    assert CODEC.absent(CODEC.decode(ROW)) == ()
    assert CODEC.load(CODEC.dump(row)) == row


def test_the_row_store_gives_back_what_it_was_given() -> None:
    row = CODEC.decode(ROW)
    assert CODEC.load(CODEC.dump(row)) == row
    assert CODEC.dump(CODEC.load(CODEC.dump(row))) == CODEC.dump(row)
    assert len(CODEC.dump(row)) < 30


def test_an_unchanged_toast_value_is_the_previous_one() -> None:
    previous, now = CODEC.decode(ROW), CODEC.decode(image(id=1, t=UNAVAILABLE, n="2", d=None, b=None))
    assert CODEC.merged(now, previous).t == "a"
    assert CODEC.merged(now, previous).n == Decimal(2)
    assert CODEC.merged(previous, None) is previous
    with pytest.raises(RowError, match="t came as unchanged") as error:
        CODEC.merged(now, None)
    assert error.value.code == "toast-without-previous"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (image(id=1, n="NAN", t=None, d=None, b=None), "n is NaN"),
        (image(id=1, n="POSITIVE_INFINITY", t=None, d=None, b=None), "n is POSITIVE_INFINITY: no quantity"),
        (image(id=1, n="x", t=None, d=None, b=None), "n is 'x': Invalid decimal"),
        (image(id=None, n="1", t=None, d=None, b=None), "got `null`"),
        (image(id=1, n="1", t=5, d=None, b=None), "t is 5: Expected `str"),
        (b"{", "truncated"),
    ],
)
def test_what_no_row_can_be_made_of(sent: bytes, reason: str) -> None:
    with pytest.raises(RowError, match=reason) as error:
        CODEC.decode(sent)
    assert error.value.code == "row-unmappable"


def test_a_text_that_says_nan_is_a_text() -> None:
    assert CODEC.decode(image(id=1, n="1", t="NAN", d=None, b=None)).t == "NAN"


def test_keys_of_snapshot_and_stream_are_equal() -> None:
    columns = {
        "big": Column(name="big", type="bigint", nullable=False, unsigned=True),
        "at": Column(name="at", type="datetime", nullable=False),
    }
    codec = RowCodec(Table(name="s.k", columns=columns, primary=("big", "at")), set(), "mariadb")
    row = codec.decode(b'{"big":-1,"at":"2026-11-24T10:00:00.807290Z"}')
    key = codec.decode_key(b'{"big":-1,"at":"2026-11-24T10:00:00.80729Z"}')
    assert codec.key_of(row) == key == (18446744073709551615, "2026-11-24T10:00:00.80729")


def test_a_record_key_that_is_none() -> None:
    with pytest.raises(RowError) as error:
        CODEC.decode_key(b'{"other":1}')
    assert error.value.code == "key-undecodable"


def test_columns_that_are_no_identifiers_keep_their_names() -> None:
    columns = {
        name: Column(name=name, type="integer", nullable=False) for name in ("No_", "Line No_", "class", "Line-No_")
    }
    codec = RowCodec(Table(name="s.odd", columns=columns, primary=("No_",)), set(columns), "postgres")
    row = codec.decode(b'{"No_":1,"Line No_":2,"class":3,"Line-No_":4}')
    assert sorted(msgspec.structs.astuple(row)) == [1, 2, 3, 4]
    assert codec.absent(codec.decode(b'{"No_":1,"Line No_":2,"Line-No_":4}')) == ("class",)
