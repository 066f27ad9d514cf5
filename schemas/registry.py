"""The schema registry over its Confluent-compatible API (Apicurio here, any other in its place).

Asked when a process starts, when topics are applied, and for a schema id nobody has seen before; never per record.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import requests

from schemas.codec import Codec
from schemas.compatibility import obstacles
from schemas.contract import RECORDS, Schema, schema_of, schema_text, subject_of, without_docs
from schemas.errors import EnvironmentFault, InvalidInput

COMPATIBILITY = "FULL_TRANSITIVE"
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_PAUSES_S = (0.25, 0.5, 1.0, 2.0)


class RegistryError(Exception):
    """An answer that says no; `status` and `code` are the registry's."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Registry:
    """One registry; `wait_s` bounds how long an unreachable one is tried again, 0: it is asked once."""

    def __init__(
        self, url: str, *, wait_s: float = 30.0, timeout_s: float = 10.0, progress: Callable[[str], None] | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._wait_s, self._timeout_s = wait_s, timeout_s
        self._progress = progress or logging.getLogger("onhand.registry").warning
        self._session = requests.Session()
        self._session.headers["Accept"] = _MEDIA_TYPE

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what a codec needs

    def contract_ids(self) -> dict[str, int]:
        """Topic → id of today's contract.  Raises EnvironmentFault for contracts that are not registered."""
        ids, missing = {}, []
        for topic in sorted(RECORDS):
            schema_id = self.find(topic)
            if schema_id is None:
                missing.append(topic)
            else:
                ids[topic] = schema_id
        if missing:
            raise EnvironmentFault(
                f"schema registry {self.url}: the contract of {', '.join(missing)} is not registered; "
                "run `onhand topics apply`"
            )
        return ids

    def schemas_by_id(self) -> dict[int, Schema]:
        """Every registered version of every contract."""
        return {schema_id: schema for topic in sorted(RECORDS) for _, schema_id, schema in self.versions(topic)}

    def schema(self, schema_id: int) -> Schema:
        """One schema.  Raises InvalidInput when there is none of that id."""
        try:
            answer = self._request("GET", f"/schemas/ids/{schema_id}")
        except RegistryError as error:
            if error.status == 404:
                raise InvalidInput(f"schema registry {self.url} has no schema id {schema_id}") from None
            raise self._refused(error) from error
        schema: Schema = json.loads(answer["schema"])
        return schema

    # -- subjects

    def find(self, topic: str) -> int | None:
        """The id under which today's contract of this topic is registered; None: it is not.

        Docs do not count: the registry gives a contract that differs in nothing else the id it had.
        """
        ours = without_docs(schema_of(topic))
        return next((found for _, found, schema in self.versions(topic) if without_docs(schema) == ours), None)

    def versions(self, topic: str) -> list[tuple[int, int, Schema]]:
        """(version, id, schema) of each registered version, newest first."""
        subject = subject_of(topic)
        try:
            numbers: Iterable[int] = self._request("GET", f"/subjects/{subject}/versions")
            answers = [self._request("GET", f"/subjects/{subject}/versions/{n}") for n in sorted(numbers, reverse=True)]
        except RegistryError as error:
            if error.status == 404:
                return []
            raise self._refused(error) from error
        return [(answer["version"], answer["id"], json.loads(answer["schema"])) for answer in answers]

    def compatibility(self, topic: str) -> str | None:
        """The subject's own compatibility level; None: the subject does not exist."""
        try:
            answer = self._request("GET", f"/config/{subject_of(topic)}")
        except RegistryError as error:
            if error.status == 404:
                return None
            raise self._refused(error) from error
        level: str = answer.get("compatibilityLevel") or answer.get("compatibility")
        return level

    def register(self, topic: str) -> int:
        """Register today's contract under FULL_TRANSITIVE; its id.  Registering twice changes nothing.

        Raises InvalidInput, naming the field, when an earlier version and this one cannot read each other.
        """
        subject = subject_of(topic)
        existing = self.versions(topic)
        try:
            if existing:
                self._request("PUT", f"/config/{subject}", {"compatibility": COMPATIBILITY})
            answer = self._request("POST", f"/subjects/{subject}/versions", {"schema": schema_text(topic)})
            if not existing:
                self._request("PUT", f"/config/{subject}", {"compatibility": COMPATIBILITY})
        except RegistryError as error:
            if error.status not in (409, 422):
                raise self._refused(error) from error
            raise InvalidInput(self._why_not(topic, existing, str(error))) from None
        return int(answer["id"])

    def obstacles(self, topic: str) -> list[str]:
        """Why today's contract cannot be registered; empty: it can."""
        return _obstacles(topic, self.versions(topic))

    def _why_not(self, topic: str, existing: list[tuple[int, int, Schema]], answer: str) -> str:
        lines = _obstacles(topic, existing) or [answer]
        return (
            f"contract of {topic} is not {COMPATIBILITY} compatible with what is registered: {'; '.join(lines)}; "
            f"give a new field a default, keep old fields, or start {topic.rsplit('.v', 1)[0]}.v2"
        )

    # -- HTTP

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        """JSON of the answer.  Raises RegistryError for 4xx, EnvironmentFault when it stays unreachable or broken."""
        deadline = time.monotonic() + self._wait_s
        for attempt in range(1 << 30):
            try:
                answer = self._session.request(
                    method,
                    self.url + path,
                    data=None if body is None else json.dumps(body),
                    headers={} if body is None else {"Content-Type": _MEDIA_TYPE},
                    timeout=self._timeout_s,
                )
                if answer.status_code < 400:
                    return answer.json()
                if answer.status_code < 500 and answer.status_code != 429:
                    raise _refusal(answer)
                reason = f"HTTP {answer.status_code}"
            except (requests.ConnectionError, requests.Timeout) as error:
                reason = type(error).__name__
            except requests.JSONDecodeError:
                raise EnvironmentFault(
                    f"schema registry {self.url} does not answer in JSON; is registry_url its Confluent API?"
                ) from None
            pause = _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]
            left = deadline - time.monotonic()
            if left < pause:
                tried = f", tried for {self._wait_s:g} s" if self._wait_s else ""
                raise EnvironmentFault(
                    f"schema registry {self.url} does not answer ({reason}{tried}); "
                    "start it (`onhand up`) or set ONHAND_REGISTRY_URL, then run this again"
                )
            self._progress(f"schema registry {self.url}: {reason}; trying for another {left:.0f} s")
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _refused(self, error: RegistryError) -> EnvironmentFault:
        return EnvironmentFault(f"schema registry {self.url} refuses: HTTP {error.status} {error}")


def _obstacles(topic: str, existing: list[tuple[int, int, Schema]]) -> list[str]:
    ours = schema_of(topic)
    return [f"{line} (version {version})" for version, _, schema in existing for line in obstacles(schema, ours)]


def _refusal(answer: requests.Response) -> RegistryError:
    try:
        body = answer.json()
        return RegistryError(answer.status_code, int(body.get("error_code", 0)), str(body.get("message", body)))
    except (requests.JSONDecodeError, AttributeError, ValueError):
        return RegistryError(answer.status_code, 0, answer.text[:200])


def connected_codec(url: str, *, wait_s: float = 30.0) -> Codec:
    """A codec of every contract under the ids that the registry gave them; later the registry is not needed.

    `wait_s` as in Registry: a process waits for a registry that starts beside it, a person's command does not.
    Raises EnvironmentFault when it does not answer or lacks a contract.
    """
    with Registry(url, wait_s=wait_s) as registry:
        return Codec.connected(registry)
