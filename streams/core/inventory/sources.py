"""How far each source is, and which of them a promise may rest on.

With kits a component rests on what kits in other partitions ask: these tell each other since when they have said all of
it (`reached`), so that a component is complete only when it has heard it.

A source is *ready* when its lane says complete, is not holding, and nothing of it waits to be withdrawn.  While one
that a promise needs is not ready, increases stay inside; see `publish`.  A lane that is whole and sends everything for
the first time says so (`restating_since`): where nothing older of it has been taken in, it is ready for each sku that
it has sent, and promises are made while it sends.

Progress is stated in two steps: what a unit has folded is *covered*, and becomes *stated* in a later unit, which
cannot close before the outputs of the first are acknowledged: at once when the source stands otherwise, else within
a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.messages import BalanceMessage, KitMessage, LaneProgress, Reached
from streams.core.heard import heard_whole, standing
from streams.core.inventory.state import (
    WITHDRAW_PREFIX,
    ReachedState,
    Recompute,
    SourceState,
    Withdraw,
    decode_reached,
    decode_source,
    decode_withdraw,
    encode,
)
from streams.core.ownership import ANY, Ownership
from streams.core.unit import View

_UNHEARD = (0, 0, False)


class Sources:
    """Every source this partition has heard of; a mirror of the `q` and `ww` records."""

    def __init__(self, state: View, ownership: Ownership, partitions: int = 1) -> None:
        self._ownership, self._partitions = ownership, partitions
        self._states = {key[1:].decode(): decode_source(value) for key, value in state.scan(b"q")}
        self.withdrawals = {
            key[len(WITHDRAW_PREFIX) :].decode(): decode_withdraw(value) for key, value in state.scan(WITHDRAW_PREFIX)
        }
        self._reached = {key[1:].decode(): decode_reached(value) for key, value in state.scan(b"m")}
        self._needed: dict[str, frozenset[str]] = {}

    def said(self, state: View, source: str, version: int) -> None:
        """It speaks of a sku or a location."""
        found = self._states.get(source)
        if found is None:
            found = self._states[source] = SourceState(earliest=None)  # its progress comes
        elif found.earliest is not None and found.earliest <= version:
            return
        found.earliest = version
        state.put(b"q" + source.encode(), encode(found))

    def missed(self, state: View) -> None:
        """A message could not be read: nobody knows what it said, of which source, under which version."""
        for source, found in self._states.items():
            if found.earliest != 0:
                found.earliest = 0
                state.put(b"q" + source.encode(), encode(found))

    def accept(self, state: View, message: BalanceMessage) -> Recompute | None:
        """Take a lane's progress in; which promises must be made anew because of it.  Late progress is dropped."""
        progress = message.progress
        source = self._states.setdefault(message.source, SourceState(earliest=None))
        source.since = source.since if source.version else message.version
        if progress is None or message.version < max(source.version, source.floor):
            return None
        progress = heard_whole(progress, source.since)
        ready, uncertain = self.ready(message.source), self.uncertain(message.source)
        if _whole(progress) and not _whole(source.progress):
            source.ready_since = message.version
        source.version, source.progress, source.covered = message.version, progress, progress
        if progress.restated_since is not None and progress.restated_since > source.floor:
            source.floor = progress.restated_since
            if not _nothing_below(source, source.floor):
                self.set_withdrawal(state, message.source, Withdraw(source.floor))
        state.put(b"q" + message.source.encode(), encode(source))
        if uncertain != self.uncertain(message.source) or (ready and not self.ready(message.source)):
            return Recompute(message.source)
        return Recompute(message.source, unless_whole=True) if ready != self.ready(message.source) else None

    def set_withdrawal(self, state: View, source: str, work: Withdraw | None) -> None:
        """The withdrawal goes on from here, or (None) is done."""
        key = WITHDRAW_PREFIX + source.encode()
        if work is None:
            self.withdrawals.pop(source, None)
            state.put(key, None)
        else:
            self.withdrawals[source] = work
            state.put(key, encode(work))

    def state_covered(self, state: View) -> list[bytes]:
        """What an earlier unit covered is stated now; the owed keys."""
        owed = []
        for name, source in self._states.items():
            if source.covered is not None:
                source.stated, source.covered, source.stated_version = source.covered, None, source.version
                key = name.encode()
                owed.append(b"g" + key)
                told = (_whole(source.stated), source.ready_since, source.floor)
                if source.stated.kits and told != source.told:
                    source.told = told
                    owed.append(b"m" + key)
                state.put(b"q" + key, encode(source))
        return owed

    def take_reached(self, state: View, source: str, version: int, reached: Reached) -> bool:
        """How far a partition is; True when promises of components must be made anew because of it."""
        found = self._reached.setdefault(source, ReachedState())
        before = self.reached_everywhere(source)
        if version < found.partitions.get(reached.partition, _UNHEARD)[0]:
            return False
        found.partitions[reached.partition] = (version, reached.lane_version, _whole(reached.progress))
        state.put(b"m" + source.encode(), encode(found))
        return before != self.reached_everywhere(source)

    def reached_everywhere(self, source: str) -> bool:
        """Every partition has sent what kits ask of their components, as of this source's being ready."""
        found, heard = self._states.get(source), self._reached.get(source)
        if found is None or heard is None:
            return False
        said = [heard.partitions.get(partition, _UNHEARD) for partition in range(self._partitions)]
        return all(ready and lane_version >= found.ready_since for _, lane_version, ready in said)

    @property
    def has_news(self) -> bool:
        """A source stands otherwise than was stated: that is stated at once.  How far it is leaves with the next unit:
        one of its own for it, several times a second, is what changes would wait for."""
        return any(
            source.covered is not None and standing(source.covered) != standing(source.stated)
            for source in self._states.values()
        )

    def floor(self, source: str) -> int:
        """Messages of lower versions are late, whatever their key."""
        found = self._states.get(source)
        return found.floor if found else 0

    def ready(self, source: str) -> bool:
        found = self._states.get(source)
        progress = found.progress if found else None
        return progress is not None and progress.complete and not progress.holding and source not in self.withdrawals

    def being_read(self, source: str) -> bool:
        """It speaks, and has not been read whole yet, or what it no longer says is still to be withdrawn: then every
        promise is made anew."""
        found = self._states.get(source)
        if found is None or not found.version:
            return False
        return found.progress is None or not found.progress.complete or source in self.withdrawals

    def uncertain(self, source: str) -> bool:
        found = self._states.get(source)
        return found is not None and found.progress is not None and found.progress.uncertain

    def needed(self, locations: Iterable[str]) -> frozenset[str]:
        """Sources that a promise at these locations rests on; those of location `*` always."""
        names: frozenset[str] = self._at(ANY)
        for location in locations:
            at = self._at(location)
            if at is not names:
                names |= at
        return names

    def _at(self, location: str) -> frozenset[str]:
        found = self._needed.get(location)
        if found is None:
            found = self._needed[location] = self._ownership.sources_at(location)
        return found

    def all_ready(self, needed: frozenset[str], versions: Mapping[str, int]) -> bool:
        """For a sku of which these are the newest versions."""
        return all(self.ready(source) or self._sent(source, versions.get(source, 0)) for source in needed)

    def _sent(self, source: str, version: int) -> bool:
        """All that the source knows of a sku, and nothing older of any, has been sent while it sends everything."""
        found = self._states.get(source)
        since = found.progress.restating_since if found is not None and found.progress is not None else None
        return since is not None and version >= since and found is not None and _nothing_below(found, since)


def _nothing_below(source: SourceState, version: int) -> bool:
    """Nothing of the source has been taken in that is older than this version."""
    return source.earliest is None or source.earliest >= version


def _whole(progress: LaneProgress | None) -> bool:
    """Read whole, and nothing held."""
    return progress is not None and progress.complete and not progress.holding


def reached_message(state: View, source: str, partition: int, version: int) -> BalanceMessage | None:
    """What every partition is told about a source, from the settled state."""
    value = state.get(b"q" + source.encode())
    found = decode_source(value) if value is not None else None
    if found is None or found.stated is None:
        return None
    reached = Reached(partition=partition, lane_version=found.stated_version, progress=found.stated)
    return BalanceMessage(kind="reached", source=source, version=version, kits=KitMessage(reached=reached))


def stated(state: View, source: str) -> LaneProgress | None:
    """Progress as it may be stated, from the settled state."""
    value = state.get(b"q" + source.encode())
    return decode_source(value).stated if value is not None else None


def stated_whole(state: View, sources: Iterable[str]) -> bool:
    """Everything these sources know stands in outputs that were acknowledged, and nothing of it is held or parked."""
    progress = [stated(state, source) for source in sources]
    return all(one is not None and _whole(one) and not one.uncertain for one in progress)
