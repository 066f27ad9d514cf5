"""Standard Webhooks 1.0 over HTTP (https://github.com/standard-webhooks/standard-webhooks, spec 1.0).

    webhook-id          stable over retries of the same content: the receiver's idempotency key
    webhook-timestamp   seconds since 1970 of this attempt; receivers refuse old ones
    webhook-signature   `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; one per secret, separated by spaces

docs/channels.md describes the body.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from schemas.errors import InvalidInput
from sinks.core.answer import Answer, Outcome
from sinks.core.desk import Item, Push
from sinks.core.offer import OrderState

SECRET_PREFIX = "whsec_"
ANSWER_CHARACTERS = 500
"""As much of an answer's body is kept for people."""

REJECTING = frozenset({400, 409, 413, 422})
BUSY = frozenset({425, 429, 503})
GONE = 410
REQUEST_TIMEOUT = 408


class WebhookSink:
    """Pushes signed JSON to one URL."""

    def __init__(self, url: str, secret: str, timeout_s: float, clock_us: Callable[[], int]) -> None:
        """`secret`: one or more `whsec_…`, separated by spaces, while one replaces another.  Raises InvalidInput."""
        self._url = url
        self._keys = [decode_secret(part) for part in secret.split()]
        if not self._keys:
            raise InvalidInput("the webhook secret is empty; it must be whsec_ and base64")
        self._timeout_s = timeout_s
        self._clock_us = clock_us
        self._session = requests.Session()
        self._session.trust_env = False

    def push(self, push: Push) -> Answer:
        """One POST."""
        body = body_of(push)
        now_s = self._clock_us() // 1_000_000
        headers = {
            "content-type": "application/json",
            "user-agent": "onhand",
            **signed(push.id, now_s, body, self._keys),
        }
        try:
            with self._session.post(
                self._url, data=body, headers=headers, timeout=self._timeout_s, allow_redirects=False
            ) as response:
                return answer_of(response.status_code, response.headers, response.text, now_s)
        except requests.exceptions.SSLError as error:
            return Answer(Outcome.MISCONFIGURED, f"TLS: {_reason(error)}")
        except requests.exceptions.ConnectTimeout:
            return Answer(Outcome.UNREACHABLE, f"no connection within {self._timeout_s:g} s")
        except requests.exceptions.Timeout:
            return Answer(Outcome.TIMED_OUT, f"no answer within {self._timeout_s:g} s")
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            return Answer(Outcome.MISCONFIGURED, _reason(error))
        except requests.exceptions.RequestException as error:
            never_sent = isinstance(getattr(error.args[0] if error.args else None, "reason", None), NewConnectionError)
            return Answer(Outcome.UNREACHABLE if never_sent else Outcome.TIMED_OUT, _reason(error))

    def close(self) -> None:
        self._session.close()


def decode_secret(text: str) -> bytes:
    """The key's bytes.  Raises InvalidInput without showing the secret."""
    if not text.startswith(SECRET_PREFIX):
        raise InvalidInput("the webhook secret must begin with whsec_")
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise InvalidInput("the webhook secret is not base64 after whsec_") from None


def signed(identity: str, now_s: int, body: bytes, keys: list[bytes]) -> dict[str, str]:
    """The three headers of Standard Webhooks."""
    content = f"{identity}.{now_s}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def body_of(push: Push) -> bytes:
    """JSON of a push; the same for every attempt at the same content."""
    if push.kind == "order":
        document = {"type": "order.status", "data": {"items": [_order(item) for item in push.items]}}
    else:
        document = {"type": "inventory.atp", "data": {"items": [_inventory(item) for item in push.items]}}
    return json.dumps(document, separators=(",", ":")).encode()


def answer_of(status: int, headers: Mapping[str, str], body: str, now_s: int) -> Answer:
    """What an HTTP answer means (docs/channels.md has the table)."""
    if 200 <= status < 300:
        return Answer(Outcome.ACCEPTED, str(status))
    text = f"{status} {body[:ANSWER_CHARACTERS]}".strip()
    if status in REJECTING:
        return Answer(Outcome.REJECTED, text)
    retry_after_s = retry_after(headers.get("retry-after"), now_s)
    if status in BUSY:
        return Answer(Outcome.BUSY, text, retry_after_s)
    if status == GONE:
        return Answer(Outcome.GONE, text)
    if status == REQUEST_TIMEOUT:
        return Answer(Outcome.TIMED_OUT, text, retry_after_s)
    if status >= 500:
        return Answer(Outcome.FAILED, text, retry_after_s)
    return Answer(Outcome.MISCONFIGURED, text, retry_after_s)


def retry_after(value: str | None, now_s: int) -> float | None:
    """Seconds to wait: RFC 9110 §10.2.3, seconds or a date; None when absent or unreadable."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=dt.UTC)
    return max(0.0, at.timestamp() - now_s)


def _inventory(item: Item) -> dict[str, Any]:
    publication = item.publication
    return {
        "id": publication.id,
        "sku": publication.key,
        "version": str(publication.source_version),
        "sequence": publication.sequence,
        "quantities": {location: _plain(quantity) for location, quantity in publication.quantities.items()},
        "committed_us": publication.stamps.committed_us,
    }


def _order(item: Item) -> dict[str, Any]:
    publication, fact = item.publication, item.fact
    known = fact if isinstance(fact, OrderState) else None
    return {
        "id": publication.id,
        "order_id": publication.key,
        "version": str(publication.source_version),
        "sequence": publication.sequence,
        "number": known.number if known else None,
        **{f"{name}_status": status for name, status in (known.statuses if known else ())},
        "withdrawn": known.withdrawn if known else None,
        "committed_us": publication.stamps.committed_us,
    }


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}" if quantity else "0"


def _reason(error: Exception) -> str:
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return str(cause or error)[:ANSWER_CHARACTERS]
