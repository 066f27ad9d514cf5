"""What exception.v1 has open of a lane, put right by what the state has open.

A state that was lost had opened exceptions of which the one after it knows nothing, and the topic can be lost.  So when
a lane has told everything again the two are compared: what only the topic has open is closed there, what only the state
has open is told again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from streams.core.lane.faults import open_exceptions
from streams.core.lane.fold import Fold

SLICE = 1000
"""Exceptions told in one unit."""

OpenOnTopic = Callable[[], Collection[str] | None]
"""Ids of this lane's exceptions that exception.v1 has open; None: it is being read, ask again."""


class Told:
    """The comparison that `Memo.comparing` asks for, in slices; a lane that opens begins it anew."""

    def __init__(self, on_topic: OpenOnTopic) -> None:
        self._on_topic = on_topic
        self._differing: list[str] | None = None

    @property
    def more(self) -> bool:
        """It has begun and is not done."""
        return self._differing is not None

    def compare(self, fold: Fold) -> None:
        """One slice."""
        if self._differing is None:
            on_topic = self._on_topic()
            if on_topic is None:
                return
            self._differing = sorted(open_exceptions(fold.state).symmetric_difference(on_topic))
        for identity in self._differing[:SLICE]:
            fold.faults.tell(identity)
        self._differing = self._differing[SLICE:] or None
        fold.memo.comparing = self._differing is not None
