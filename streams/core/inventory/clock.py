"""Calendar days of locations, and the index of what only time changes.

A due date is a calendar day of its location, so time changes promises at midnights that differ by location.  Each sku
has at most one entry in the index (the next instant at which its promise may change), each claim at most one (the next
reservation to expire), so that the index is as small as the state it points to.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.core.inventory.state import LocationState, decode_location, encode, wake_key
from streams.core.ownership import ANY
from streams.core.unit import View

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def zone_of(name: str) -> ZoneInfo | None:
    """None: there is no such time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


class Calendar:
    """Today and midnights by location.  `at(now_us)` first; then the answers are those of that instant."""

    def __init__(self, default_zone: str) -> None:
        self._default = ZoneInfo(default_zone)
        self._zones: dict[str, ZoneInfo] = {}
        self._now_us = 0
        self._todays: dict[ZoneInfo, dt.date] = {}
        self._midnights: dict[tuple[ZoneInfo, dt.date], int] = {}

    def set_zone(self, location: str, zone: ZoneInfo | None) -> bool:
        """None: the default.  True when that is a change."""
        before = self._zones.get(location)
        if zone is None:
            self._zones.pop(location, None)
        else:
            self._zones[location] = zone
        return before != zone

    def at(self, now_us: int) -> None:
        self._now_us = now_us
        self._todays.clear()
        if len(self._midnights) > 10_000:
            self._midnights.clear()

    def zone(self, location: str) -> ZoneInfo:
        return self._zones.get(location, self._default)

    def today(self, location: str) -> dt.date:
        zone = self._zones.get(location, self._default)
        today = self._todays.get(zone)
        if today is None:
            today = self._todays[zone] = (_EPOCH + dt.timedelta(microseconds=self._now_us)).astimezone(zone).date()
        return today

    def todays(self, locations: set[str]) -> dict[str, dt.date]:
        """Today at each of the locations and at `*`."""
        return {location: self.today(location) for location in (*locations, ANY)}

    def next_midnight_us(self, locations: set[str], days: Sequence[dt.date]) -> int | None:
        """The first instant from now on at which one of `days` (ascending) begins at one of the locations."""
        found: int | None = None
        for zone in {self.zone(location) for location in locations or {ANY}}:
            for day in days:
                midnight = self._midnight_us(zone, day)
                if midnight > self._now_us:
                    found = midnight if found is None else min(found, midnight)
                    break
        return found

    def _midnight_us(self, zone: ZoneInfo, day: dt.date) -> int:
        key = (zone, day)
        midnight = self._midnights.get(key)
        if midnight is None:
            local = dt.datetime(day.year, day.month, day.day, tzinfo=zone)
            midnight = self._midnights[key] = (local - _EPOCH) // _MICROSECOND
        return midnight


def load_locations(state: View) -> Iterator[tuple[str, LocationState]]:
    """Every location a source has spoken of."""
    for key, value in state.scan(b"l"):
        yield key[1:].decode(), decode_location(value)


def save_location(state: View, location: str, record: LocationState) -> None:
    state.put(b"l" + location.encode(), encode(record) if record.parts else None)


def chosen_zone(record: LocationState, sources: Sequence[str]) -> str | None:
    """The time zone that the first of `sources` with one states."""
    for source in sources:
        said = record.parts.get(source)
        if said is not None and said.part.time_zone:
            return said.part.time_zone
    return None


def move_wake(state: View, key: bytes, before_us: int | None, after_us: int | None) -> None:
    """Keep the index at one entry for the record `key`."""
    if before_us == after_us:
        return
    if before_us is not None:
        state.put(wake_key(before_us, key), None)
    if after_us is not None:
        state.put(wake_key(after_us, key), b"\x01")


def due_wakes(state: View, now_us: int) -> Iterator[tuple[bytes, bytes]]:
    """(index key, record key) of everything due by now, earliest first."""
    limit = wake_key(now_us + 1, b"")
    for key, _ in state.scan(b"t"):
        if key >= limit:
            return
        yield key, key[9:]
