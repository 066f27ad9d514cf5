"""References to secrets, as Kafka Connect resolves them and as channels' files have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import EnvironmentFault, InvalidInput
from schemas.secrets import is_reference, resolve, resolve_here


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
        ("${file:DIR/none.properties:password}", EnvironmentFault, "none.properties; create it.*one line `password=…`"),
        ("${dir:DIR:none}", EnvironmentFault, "none; create it.*the secret, nothing else"),
        ("${dir:DIR:folder}", EnvironmentFault, "folder cannot be read .*; let the user"),
        ("${file:DIR/erp.properties:nokey}", EnvironmentFault, "has no line `nokey="),
        ("${file:/etc/hostname:x}", InvalidInput, "outside the secrets folder"),
        ("${file:DIR/../elsewhere.properties:x}", InvalidInput, "outside the secrets folder"),
        ("${file:erp.properties:password}", InvalidInput, "must be absolute"),
        ("${dir:token}", InvalidInput, "a path is missing"),
    ],
)
def test_what_cannot_be_resolved_says_why(tmp_path: Path, value: str, error: type[Exception], words: str) -> None:
    (tmp_path / "erp.properties").write_text("password=x\n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(error, match=words):
        resolve(value.replace("DIR", str(tmp_path)), [tmp_path], {})


def test_a_reference_is_the_whole_value() -> None:
    assert is_reference("${env:X}")
    assert is_reference("${file:/a/b.properties:c}")
    assert not is_reference("x${env:X}")
    assert not is_reference("geheim")


def test_a_channels_references_start_in_the_secrets_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", "one")
    (tmp_path / "plain").write_text("two\n")
    (tmp_path / "shop.properties").write_text("# shop\nsecret = three=3\n")
    assert resolve_here("${env:SHOP_SECRET}", tmp_path) == "one"
    assert resolve_here("${file:plain}", tmp_path) == "two"
    assert resolve_here("${file:shop.properties:secret}", tmp_path) == "three=3"
    assert resolve_here(f"${{file:{tmp_path}/shop.properties:secret}}", tmp_path) == "three=3"
    assert resolve_here("http://x", tmp_path) == "http://x"
    with pytest.raises(InvalidInput, match="outside the secrets folder"):
        resolve_here("${file:../elsewhere}", tmp_path)
