"""What people write wrong: it is refused with its place, the reason and the way out, and what runs goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from onhand.stack.site import write_private
from schemas.contract import schema_of, schema_text, subject_of
from schemas.errors import EXIT_ENVIRONMENT, EXIT_INVALID
from tests.faults.chain import Chain
from tests.faults.conftest import copy_project

pytestmark = pytest.mark.integration

MISTAKES = {
    "unknown names": (
        {
            "postings.sql": ("  FROM erp.itmbal b\n WHERE", "  FROM erp.itmbalance b\n WHERE"),
            "items.sql": ("i.itstat = 10", "i.itstate = 10"),
        },
        (
            r"postings\.sql:48:\d+: no table itmbalance in catalog\.json: mend the name, or run `onhand source",
            r"items\.sql:4:8: column i\.itstate is not in catalog\.json: mend the name, or inspect again",
        ),
    ),
    "outside the subset": (
        {
            "postings.sql": ("b.ibqoh * 0.01, CAST(NULL", "SUM(b.ibqoh) * 0.01, CAST(NULL"),
            "items.sql": ("i.itdesc AS name", "CAST(random() AS text) AS name"),
        },
        (
            r"postings\.sql:52:\d+: .*no aggregates: let the rows of the N-side drive",
            r"items\.sql:1:\d+: .*outside the subset",
        ),
    ),
}
"""Name → what is written instead in which file, and what is said about it; everything at once."""


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mapping_that_is_refused(chain: Chain, tmp_path: Path, name: str) -> None:
    mistakes, expected = MISTAKES[name]
    project = copy_project(tmp_path / "project")
    for file, (right, wrong) in mistakes.items():
        path = project / "connect-configs" / "erp" / file
        assert path.read_text().count(right) == 1, (file, right)
        path.write_text(path.read_text().replace(right, wrong))
    restarts = chain.restarts()
    before = connector(chain, "erp")

    for command in (
        ("source", "check", "erp", "--offline"),
        ("source", "test", "erp"),
        ("source", "apply", "erp"),
    ):
        done = chain.command(*command, project=project)
        assert done.code == EXIT_INVALID, done.text
        for line in expected:
            assert re.search(line, done.text), f"{' '.join(command)}: {line}\n{done.text}"
        assert "Traceback" not in done.text

    assert connector(chain, "erp") == before
    assert chain.restarts() == restarts


def test_a_wrong_database_password(chain: Chain, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    for source in ("erp", "wms"):
        write_private(chain.system.stack.endpoints.secrets / f"wrong-{source}.properties", "password=not-this-one\n")
        file = project / "connect-configs" / source / "connector.json"
        file.write_text(file.read_text().replace(f"/{source}.properties:", f"/wrong-{source}.properties:"))
        before = connector(chain, source)

        done = chain.command("source", "apply", source, project=project)

        assert done.code == EXIT_ENVIRONMENT, done.text
        assert "Set the password in the secret that database.password names" in done.text
        assert "not-this-one" not in done.text
        assert connector(chain, source) == before, "nothing was told to Kafka Connect"


def connector(chain: Chain, name: str) -> Any:
    """The connector as Kafka Connect has it."""
    return requests.get(f"{chain.system.settings.connect_url}/connectors/{name}/config", timeout=10).json()


def test_an_incompatible_contract_is_refused(chain: Chain) -> None:
    subject = subject_of("location.v1")
    planned = chain.command("topics", "plan")
    with another_version(chain, "location.v1") as field:
        before = registry(chain, "GET", f"/subjects/{subject}/versions")
        done = chain.command("topics", "apply")
        assert done.code == EXIT_INVALID, done.text
        assert "location.v1" in done.text
        assert f"{field}: " in done.text
        assert registry(chain, "GET", f"/subjects/{subject}/versions") == before
    assert chain.command("topics", "plan") == planned, "nothing was changed"


@contextmanager
def another_version(chain: Chain, topic: str) -> Iterator[str]:
    """The registry also holds a version in which a field has another type; the field's name."""
    schema = json.loads(schema_text(topic))
    field = next(one for one in schema["fields"] if one["name"] == "version")
    assert field["type"] == "long"
    field["type"] = "string"
    subject = subject_of(topic)
    registry(chain, "PUT", f"/config/{subject}", {"compatibility": "NONE"})
    registry(chain, "POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})
    registry(chain, "PUT", f"/config/{subject}", {"compatibility": "FULL_TRANSITIVE"})
    try:
        yield "version"
    finally:
        newest = max(registry(chain, "GET", f"/subjects/{subject}/versions"))
        registry(chain, "DELETE", f"/subjects/{subject}/versions/{newest}")
        assert json.loads(registry(chain, "GET", f"/subjects/{subject}/versions/latest")["schema"]) == schema_of(topic)


def registry(chain: Chain, method: str, path: str, body: object = None) -> Any:
    """One request to the schema registry."""
    answer = requests.request(method, chain.system.settings.registry_url + path, json=body, timeout=10)
    assert answer.ok, answer.text
    return answer.json()
