"""The codec: bytes as the generic Avro library writes them, and clear words for what cannot be written or read."""

from __future__ import annotations

import datetime as dt
import io
import random
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import fastavro
import msgspec
import pytest

from schemas.codec import HEADER_BYTES, Codec
from schemas.contract import RECORDS, schema_of
from schemas.errors import InvalidInput, PoisonRecord
from schemas.messages import Balance, BalanceMessage
from schemas.records import Bucket, Item, Order
from schemas.statuses import STATUSES, Deletion

CODEC = Codec.local()
STATUS_FIELDS = {
    ("Order" if file == "orders" else "Shipment", column): enum for (file, column), enum in STATUSES.items()
}
STATUS_FIELDS["Order", "withdrawn"] = Deletion


def make(random_: random.Random, hint: Any, owner: str = "", name: str = "") -> Any:
    """A random value of a field; edges are frequent."""
    if (owner, name) in STATUS_FIELDS and (hint is str or random_.random() < 0.5):
        return random_.choice([member.value for member in STATUS_FIELDS[owner, name]])
    if isinstance(hint, types.UnionType):
        if (owner, name) in STATUS_FIELDS or random_.random() < 0.4:
            return None
        return make(random_, next(part for part in typing.get_args(hint) if part is not type(None)))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return random_.choice(list(hint))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = typing.get_type_hints(hint)
        return hint(**{field: make(random_, inner, hint.__name__, field) for field, inner in hints.items()})
    if typing.get_origin(hint) is tuple:
        return tuple(make(random_, typing.get_args(hint)[0]) for _ in range(random_.choice([0, 1, 2, 70])))
    if typing.get_origin(hint) is dict:
        inner = typing.get_args(hint)[1]
        return {f"k{n}": make(random_, inner) for n in range(random_.randint(0, 3))}
    makers: dict[Any, Callable[[], Any]] = {
        bool: lambda: random_.random() < 0.5,
        str: lambda: random_.choice(["", "A", "größe Ω 💡", "x" * 63, "x" * 64, "x" * 9_000]),
        bytes: lambda: random_.randbytes(random_.choice([0, 1, 64, 200])),
        int: lambda: random_.choice([0, 1, -1, 63, 64, -64, -65, 10**15, 2**63 - 1, -(2**63), random_.getrandbits(40)]),
        dt.date: lambda: dt.date.fromordinal(random_.choice([1, 719_162, 719_163, 738_000, 3_652_059])),
        Decimal: lambda: Decimal(random_.choice([0, 127, 128, -127, -129, random_.getrandbits(90), -(10**28)])).scaleb(
            -random_.randint(0, 9)
        ),
    }
    return makers[hint]()


def with_lists(value: Any) -> Any:
    """The generic library takes a tuple in a nullable field for the name of a branch."""
    if isinstance(value, dict):
        return {key: with_lists(inner) for key, inner in value.items()}
    return [with_lists(inner) for inner in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("topic", sorted(RECORDS))
def test_bytes_are_those_of_the_generic_library(topic: str) -> None:
    schema = fastavro.parse_schema(schema_of(topic))
    random_ = random.Random(topic)
    for _ in range(60):
        record = make(random_, RECORDS[topic])
        data = CODEC.encode(topic, record)
        generic = io.BytesIO()
        plain = with_lists(msgspec.to_builtins(record, builtin_types=(Decimal, dt.date, bytes)))
        fastavro.schemaless_writer(generic, schema, plain)
        assert data[HEADER_BYTES:] == generic.getvalue()
        assert CODEC.decode(topic, data) == record


def test_a_quantity_is_the_shortest_twos_complement_as_java_writes_it() -> None:
    """The generic library spends a byte too much on -128 and its like; readers take both."""
    item = Item(sku="", version=0, source="", backorder_limit=Decimal("-0.000000128"))
    assert b"\x02\x02\x80" in CODEC.encode("item.v1", item)
    assert CODEC.decode("item.v1", CODEC.encode("item.v1", item)) == item


def test_header_is_confluents() -> None:
    data = Codec({"item.v1": 0x01020304}).encode("item.v1", Item(sku="A", version=1, source="erp"))
    assert data[:HEADER_BYTES] == b"\x00\x01\x02\x03\x04"


@pytest.mark.parametrize(
    ("quantity", "complaint"),
    [
        (Decimal("1.0000000001"), r"balances\[1\].quantity: 1.0000000001 has more than 9 digits"),
        (Decimal(10) ** 29, r"balances\[1\].quantity: .* has more than 29 digits before"),
        (Decimal("NaN"), r"balances\[1\].quantity: NaN is no quantity"),
        (Decimal("Infinity"), r"balances\[1\].quantity: Infinity is no quantity"),
    ],
)
def test_a_quantity_that_does_not_fit_is_refused_by_name(quantity: Decimal, complaint: str) -> None:
    balances = [Balance(location="W", bucket=Bucket.ON_HAND, quantity=q, postings=1) for q in (Decimal(1), quantity)]
    message = BalanceMessage(kind="balances", source="erp", version=1, balances=tuple(balances))
    with pytest.raises(PoisonRecord, match=complaint) as caught:
        CODEC.encode("onhand.balance.v1", message)
    assert caught.value.code == "contract-unencodable"


def test_nine_digits_and_trailing_zeros_are_kept_exactly() -> None:
    for text, expected in (
        ("0.000000001", "1E-9"),
        ("100.00", "100"),
        ("-2.50", "-2.5"),
        ("12345678901234567890.5", ""),
    ):
        item = Item(sku="A", version=1, source="e", backorder_limit=Decimal(text))
        back = CODEC.decode("item.v1", CODEC.encode("item.v1", item)).backorder_limit
        assert back == Decimal(text)
        assert str(back) == (expected or text)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"version": 1 << 63}, "version"),
        ({"sku": None}, "sku"),
        ({"tracked": None}, "tracked"),
        ({"name": 5}, "name"),
    ],
)
def test_a_wrong_value_is_refused_by_name(changes: dict[str, Any], complaint: str) -> None:
    item = Item(**{"sku": "A", "version": 1, "source": "e", **changes})
    with pytest.raises(PoisonRecord, match=rf"item.v1: {complaint}: "):
        CODEC.encode("item.v1", item)


def test_a_status_outside_the_enumeration_is_refused() -> None:
    with pytest.raises(PoisonRecord, match="execution_status"):
        CODEC.encode("order.v1", Order(order_id="1", version=1, complete=True, execution_status="shippedish"))


def test_a_record_of_another_topic_and_an_unknown_topic_are_refused() -> None:
    with pytest.raises(PoisonRecord, match="a Order is wanted, not Item"):
        CODEC.encode("order.v1", Item(sku="A", version=1, source="e"))
    with pytest.raises(InvalidInput, match="no contract"):
        CODEC.encode("order.v9", Item(sku="A", version=1, source="e"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x00\x00\x00\x05",
        b"{}",
        b"\x01" + b"\x00" * 40,
        b"\x00\x00\x00\x00\x63abc",
        b"\x00\x00\x00\x00\x01",
    ],
)
def test_other_bytes_are_poison(data: bytes) -> None:
    with pytest.raises(PoisonRecord) as caught:
        CODEC.decode("item.v1", data)
    assert caught.value.code == "contract-undecodable"


ITEM = CODEC.encode("item.v1", Item(sku="AB", version=1, source="e"))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (ITEM + b"\x00", "the record ends at byte"),
        (ITEM[:-1], "index out of range"),
        (ITEM[:HEADER_BYTES] + b"\x03" + ITEM[HEADER_BYTES + 1 :], "a length of -2 bytes leaves the record"),
        (ITEM[:HEADER_BYTES] + b"\xff\xff\x03" + ITEM[HEADER_BYTES + 1 :], "a length of .* leaves the record"),
        (ITEM[:HEADER_BYTES] + b"\x80" * 12 + ITEM[HEADER_BYTES + 1 :], "longer than 64 bits"),
    ],
)
def test_a_damaged_length_is_named(data: bytes, complaint: str) -> None:
    with pytest.raises(PoisonRecord, match=complaint):
        CODEC.decode("item.v1", data)


@pytest.mark.parametrize("topic", sorted(RECORDS))
def test_cut_or_damaged_bytes_are_poison_or_a_record_never_a_crash(topic: str) -> None:
    random_ = random.Random(topic)
    data = CODEC.encode(topic, make(random_, RECORDS[topic]))[:400]
    for _ in range(400):
        damaged = bytearray(data)
        damaged[random_.randrange(HEADER_BYTES, len(damaged))] = random_.randrange(256)
        del damaged[random_.randint(HEADER_BYTES, len(damaged)) :]
        try:
            CODEC.decode(topic, bytes(damaged))
        except PoisonRecord:
            continue


def test_another_version_of_the_contract_is_resolved() -> None:
    """An older one without `active`, and a newer one with a field and a symbol nobody here knows."""
    older = schema_of("item.v1")
    older["fields"] = [field for field in older["fields"] if field["name"] != "active"]
    newer = schema_of("exception.v1")
    newer["fields"].insert(1, {"name": "weather", "type": "string", "default": "", "doc": "new"})
    status = next(field for field in newer["fields"] if field["name"] == "status")
    status["type"]["symbols"].append("ignored")
    codec = Codec({"item.v1": 7, "exception.v1": 8}, {3: older}, {9: newer}.__getitem__)

    def write(schema_id: int, schema: Any, datum: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
        return b"\x00" + schema_id.to_bytes(4, "big") + out.getvalue()

    item = codec.decode(
        "item.v1", write(3, older, {"sku": "A", "version": 5, "source": "e", "backorder_limit": Decimal("1.5")})
    )
    assert item == Item(sku="A", version=5, source="e", backorder_limit=Decimal("1.5"), active=True)
    datum = {"id": "x", "weather": "rain", "version": 1, "stage": "lane", "source": "e", "code": "c",
             "status": "ignored", "subject": "", "detail": "", "action": ""}  # fmt: skip
    assert codec.decode("exception.v1", write(9, newer, datum)).status == "unknown"
    with pytest.raises(PoisonRecord, match=r"is the contract of exception\.v1"):
        codec.decode("item.v1", b"\x00\x00\x00\x00\x08" + b"\x00" * 30)
