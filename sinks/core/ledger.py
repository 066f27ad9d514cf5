"""What one channel was told about one key, and what has to be told now.

Rules
* Never a version after a newer one: what is below `last` is not wanted.
* The same thing is told under the same id until it is acknowledged (a retry).  Everything else gets a new id: the
  sequence rises while the source's version stays, so an id is never used for two different things, also when a rule or
  a staleness step goes away and comes back.
* A request whose outcome is unknown puts the key *in doubt*.  The doubt ends when something sent at least `settle_s`
  after that request is acknowledged; until then the newest value is told once more, under a new id.
* An intent found open at take-over, and any record that a former owner writes after it, is a request of unknown
  outcome.  Such a record is told by its worker, or by standing behind a newer one.
* Compaction leaves a key's last record alone.  By an older one that stands last the next owner would use an id again:
  so the next intent is written at once, and pushed when its turn comes.
* A location that the promise no longer names is told as zero as long as the channel may hold something there.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from schemas.records import Publication, PublicationState, Stamps
from sinks.core.dirty import Waiting
from sinks.core.ids import Stamp
from sinks.core.offer import OrderState, Promise

Fact = Promise | OrderState

NO_STAMPS = Stamps()
WITHDRAWN = "withdrawn"
"""Cause of what is told of a key that no source knows any more."""


class Telling:
    """One key of one channel."""

    __slots__ = (
        "acknowledged",
        "attempts",
        "doubt_us",
        "fact",
        "last",
        "open_us",
        "parked",
        "partition",
        "possible",
        "present",
        "quantities",
        "queued",
        "renew",
        "resend_us",
        "sent_us",
        "strikes",
        "untold",
        "withdrawn",
        "withdraws",
    )

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.fact: Fact | None = None
        """Newest complete promise or order; None: not read yet, or withdrawn."""
        self.present = False
        """The topic has said something of it: a record, complete or not, or a tombstone."""
        self.withdrawn = False
        """No source knows the key any more; the channel is told zero once."""
        self.last: Stamp | None = None
        """Of the newest intent, whatever became of it."""
        self.withdraws = False
        """`last` takes back what was told, because no source knows the key any more."""
        self.acknowledged: Stamp | None = None
        self.parked: Stamp | None = None
        self.quantities: dict[str, Decimal] = {}
        """As acknowledged."""
        self.possible: Mapping[str, Decimal] = {}
        """Location → the most the channel may hold of it: what was acknowledged, and what requests in doubt told.
        Zero: a request in doubt told zero, so something older may still stand there."""
        self.untold: Waiting | None = None
        """Of a publication that was refused for good, or not acknowledged in the life of an earlier owner: what is told
        next stands for its change too."""
        self.sent_us = 0
        """When that which was acknowledged or parked was sent."""
        self.attempts = 0
        """Attempts at `last`."""
        self.strikes = 0
        """How often `last` failed alone while the channel took others."""
        self.doubt_us: int | None = None
        """When the last request of unknown outcome was sent."""
        self.open_us: int | None = None
        """When an intent was sent whose outcome nobody wrote down: its worker died, or has not written it yet."""
        self.renew = False
        """The next push needs a new id, and is due even if nothing is new."""
        self.queued = False
        """It stands among those that are let go in time."""
        self.resend_us = 0
        """When a person last ordered to tell it again."""

    def recall(self, publication: Publication, settle_us: int, *, foreign: bool = False) -> bool:
        """Take in what stands in channel.publication.v1, oldest first.

        `foreign`: another worker wrote it after our take-over, so whatever it says, its request may land after ours.
        True: it is older than what we wrote, and stands behind it.
        """
        stamp = stamp_of(publication)
        sent_us = publication.sent_us or 0
        if foreign or (self.last is not None and _order(stamp) < _order(self.last)):
            self.doubt_us = max(self.doubt_us or 0, publication.acknowledged_us or 0, sent_us)
            self.possible = most(self.possible, publication.quantities)
            self.renew = True
            if self.last is None or _order(stamp) > _order(self.last):
                self.last, self.withdraws = stamp, publication.cause == WITHDRAWN
            return foreign and _order(stamp) < _order(self.last)
        if publication.state is PublicationState.INTENT:
            self.doubt_us = self.in_doubt_us  # of an earlier intent without an outcome: its worker died
        self.last, self.attempts, self.open_us = stamp, publication.attempts, None
        self.withdraws = publication.cause == WITHDRAWN
        if publication.state is not PublicationState.ACKNOWLEDGED:
            self.possible = most(self.possible, publication.quantities)
            self.untold = waiting_of(publication)
        match publication.state:
            case PublicationState.ACKNOWLEDGED:
                self.settle(stamp, publication.quantities, sent_us, settle_us)
            case PublicationState.PARKED:
                self.park(stamp, sent_us)
            case PublicationState.REJECTED:
                self.renew = True
            case PublicationState.INTENT:
                self.open_us, self.renew = sent_us, True
            case _:
                self.doubt_us, self.renew = sent_us, True
        return False

    def next_stamp(self, source_version: int, rule_version: int, step: int, withdraws: bool = False) -> Stamp:
        """The stamp, and so the id, under which this is told now."""
        last = self.last
        if last is None or last.source_version != source_version:
            return Stamp(source_version, rule_version, step)
        same = last[:3] == (source_version, rule_version, step) and self.withdraws == withdraws
        if same and not self.renew and last != self.acknowledged:
            return last
        return Stamp(source_version, rule_version, step, last.sequence + 1)

    def intend(self, stamp: Stamp, withdraws: bool = False) -> int:
        """Note that a push is about to be made; the number of the attempt."""
        if self.last is not None and stamp.source_version < self.last.source_version:
            raise AssertionError(f"version {stamp.source_version} after {self.last.source_version}")
        if stamp != self.last:
            self.attempts = self.strikes = 0
        self.attempts += 1
        self.last, self.withdraws, self.renew, self.untold = stamp, withdraws, False, None
        return self.attempts

    def settle(self, stamp: Stamp, quantities: dict[str, Decimal], sent_us: int, settle_us: int) -> None:
        """Acknowledged."""
        self.acknowledged, self.parked = stamp, None
        self.quantities, self.sent_us = quantities, sent_us
        self.renew, self.strikes, self.untold = sent_us < self.resend_us, 0, None
        if self.in_doubt_us is not None and sent_us >= self.in_doubt_us + settle_us:
            self.doubt_us = self.open_us = None
        if self.in_doubt_us is None:
            held = {at: quantity for at, quantity in quantities.items() if quantity}
            self.possible = quantities if len(held) == len(quantities) else held
        else:
            self.possible = most(self.possible, quantities)

    def park(self, stamp: Stamp, sent_us: int) -> None:
        """Refused for good, until a newer version or a person comes."""
        self.parked, self.sent_us, self.renew = stamp, sent_us, sent_us < self.resend_us

    def tell_again(self, ordered_us: int) -> None:
        """A person wants it told again, unless that has happened since."""
        self.resend_us = max(self.resend_us, ordered_us)
        self.renew = self.renew or self.sent_us < ordered_us

    def rest(self) -> None:
        """Nothing is to be told: the fact's stamps have been, or never will be."""
        if self.fact is not None and self.fact.stamps is not NO_STAMPS:
            self.fact = self.fact._replace(stamps=NO_STAMPS)

    @property
    def in_doubt_us(self) -> int | None:
        """When the last request was sent that may still land; None: there is none."""
        return max((at for at in (self.doubt_us, self.open_us) if at is not None), default=None)

    def was_sent_by(self, now_us: int) -> None:
        """The clock was set back: no request in doubt was sent later than now."""
        self.doubt_us = None if self.doubt_us is None else min(self.doubt_us, now_us)
        self.open_us = None if self.open_us is None else min(self.open_us, now_us)

    @property
    def is_settled(self) -> bool:
        """The newest intent was acknowledged: nothing of it is to be tried again."""
        return self.acknowledged is not None and self.acknowledged == self.last

    @property
    def is_at_rest(self) -> bool:
        """Settled, and no request may still land, nor is it to be told again."""
        return self.is_settled and self.in_doubt_us is None and not self.renew

    def doubt(self, sent_us: int, quantities: Mapping[str, Decimal]) -> None:
        """The outcome of a request is unknown."""
        self.doubt_us = sent_us
        self.possible = most(self.possible, quantities)


def most(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Per location the greater of both."""
    found = dict(one)
    for location, quantity in other.items():
        found[location] = max(quantity, found.get(location, quantity))
    return found


def waiting_of(publication: Publication) -> Waiting:
    """What an intent took out of the dirty map."""
    since_us = publication.picked_up_us or publication.sent_us or 0
    return Waiting(since_us, False, publication.stamps, publication.cause)


def _order(stamp: Stamp) -> tuple[int, int]:
    """Newer is greater: the source's version never falls, and the sequence rises while it stays."""
    return stamp.source_version, stamp.sequence


def stamp_of(publication: Publication) -> Stamp:
    """What the publication's version is made of."""
    return Stamp(publication.source_version, publication.rule_version, publication.staleness_step, publication.sequence)
