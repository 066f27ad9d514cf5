"""What sources say about locations: their time zones, so that a day is the location's.

Every partition hears of every location, and keeps them all; of an unknown time zone the first partition alone speaks.
"""

from __future__ import annotations

from schemas.messages import LocationPart
from streams.core.inventory import exceptions
from streams.core.inventory.clock import Calendar, chosen_zone, load_locations, save_location, zone_of
from streams.core.inventory.state import LocationState, SourcedLocation
from streams.core.ownership import Ownership
from streams.core.unit import View


class Locations:
    """A mirror of the `l` records; keeps the calendar at the owners' time zones."""

    def __init__(self, state: View, ownership: Ownership, calendar: Calendar, partition: int) -> None:
        self._ownership, self._calendar, self._partition = ownership, calendar, partition
        self._records = dict(load_locations(state))
        self.changed = False
        """A location's days are others since this was last put to False: every promise is to be made anew."""
        for location, record in self._records.items():
            zone = chosen_zone(record, ownership.locations)
            calendar.set_zone(location, zone_of(zone) if zone else None)

    def take(self, state: View, source: str, version: int, part: LocationPart, now_us: int) -> list[bytes]:
        """A source's word on one location, unless it is late; the owed keys."""
        record = self._records.setdefault(part.location, LocationState())
        said = record.parts.get(source)
        if said is not None and said.version > version:
            return []
        if part.withdrawn:
            record.parts.pop(source, None)
        else:
            record.parts[source] = SourcedLocation(version, part)
        return self._keep(state, source, part.location, record, now_us)

    def withdraw(self, state: View, source: str, since: int, now_us: int) -> list[bytes]:
        """Everything the source stated before version `since` and not again; the owed keys."""
        owed = []
        for location, record in list(self._records.items()):
            said = record.parts.get(source)
            if said is not None and said.version < since:
                del record.parts[source]
                owed += self._keep(state, source, location, record, now_us)
        return owed

    def _keep(self, state: View, source: str, location: str, record: LocationState, now_us: int) -> list[bytes]:
        save_location(state, location, record)
        if not record.parts:
            del self._records[location]
        name = chosen_zone(record, self._ownership.locations)
        zone = zone_of(name) if name else None
        if self._calendar.set_zone(location, zone):
            self._calendar.at(now_us)
            self.changed = True
        return [] if self._partition else self._check(state, source, location, name, zone is None, now_us)

    def _check(
        self, state: View, source: str, location: str, name: str | None, unknown: bool, now_us: int
    ) -> list[bytes]:
        owner = self._ownership.locations[0]
        identity = f"{exceptions.STAGE}/{owner}/location-time-zone/{location}"
        key = f"location-time-zone/{location}"
        is_open = {key: identity} if state.get(b"x" + identity.encode()) is not None else {}
        findings = []
        if name is not None and unknown:
            findings.append(
                exceptions.Finding(
                    code="location-time-zone",
                    source=owner,
                    subject=location,
                    detail=f"{source} states time zone {name!r}, which is not known; "
                    f"{self._ownership.time_zone} is used",
                    action="correct it in the source or in its locations.sql: a name like Europe/Berlin",
                )
            )
        return exceptions.reconcile(state, is_open, findings, now_us)
