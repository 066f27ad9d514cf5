"""What every channel technology offers to the worker."""

from __future__ import annotations

from typing import Protocol

from sinks.core.answer import Answer
from sinks.core.desk import Push


class ChannelAdapter(Protocol):
    """One channel, one connection; never called twice at once."""

    def push(self, push: Push) -> Answer:
        """Tell the channel these items, all or none.

        Called after the intents are durable.  Every failure of the channel is an `Answer`; an exception is a fault of
        ours and stops the process.  Never sleeps and never retries: pace and repetition are the desk's.
        """

    def close(self) -> None:
        """Called once, when the worker ends or the rule changed."""
