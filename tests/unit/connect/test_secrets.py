"""References to secrets, as Kafka Connect resolves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import EnvironmentFault, InvalidInput
from streams.connect.secrets import is_reference, resolve


def test_every_provider(tmp_path: Path) -> None:
    (tmp_path / "erp.properties").write_text("# comment\n\nuser = cdc\npassword=a=b\\:c\nother:x\n")
    (tmp_path / "token").write_text("t0k\n")
    environ = {"ONHAND_SECRET_X": "envy"}
    assert resolve(f"${{file:{tmp_path}/erp.properties:password}}", [tmp_path]) == "a=b:c"
    assert resolve(f"${{file:{tmp_path}/erp.properties:user}}", [tmp_path]) == "cdc"
    assert resolve(f"${{file:{tmp_path}/erp.properties:other}}", [tmp_path]) == "x"
    assert resolve(f"${{dir:{tmp_path}:token}}", [tmp_path]) == "t0k\n"
    assert resolve("a ${env:ONHAND_SECRET_X} b", [], environ) == "a envy b"
    assert resolve("plain $ {x}", []) == "plain $ {x}"


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("${env:NOT_THERE}", EnvironmentFault, "NOT_THERE is not set"),
        ("${file:DIR/none.properties:password}", EnvironmentFault, "cannot be read"),
        ("${file:DIR/erp.properties:nokey}", EnvironmentFault, "has no line `nokey="),
        ("${file:/etc/hostname:x}", InvalidInput, "outside the secrets folder"),
        ("${file:DIR/../elsewhere.properties:x}", InvalidInput, "outside the secrets folder"),
        ("${file:erp.properties:password}", InvalidInput, "must be absolute"),
        ("${dir:token}", InvalidInput, "a path is missing"),
    ],
)
def test_what_cannot_be_resolved_says_why(tmp_path: Path, value: str, error: type[Exception], words: str) -> None:
    (tmp_path / "erp.properties").write_text("password=x\n")
    with pytest.raises(error, match=words):
        resolve(value.replace("DIR", str(tmp_path)), [tmp_path], {})


def test_a_reference_is_the_whole_value() -> None:
    assert is_reference("${env:X}")
    assert is_reference("${file:/a/b.properties:c}")
    assert not is_reference("x${env:X}")
    assert not is_reference("geheim")
