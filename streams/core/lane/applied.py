"""Which mapping a lane works by: the one that was applied, whatever its folder holds (DESIGN §3).

Its text stands in the state under `a`, written in the unit in which it begins to count, so that whoever takes the lane
over compiles the same.  A state of a release that kept none goes on with the folder's when that is the one; otherwise
it waits for a switch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from schemas.errors import InvalidInput
from streams.core.log.control import Control
from streams.core.mapping.model import Mapping
from streams.core.unit import View

TEXT = b"a"

Compile = Callable[[bytes], Mapping]
"""Packed text → the mapping.  Raises InvalidInput."""


class Switch(NamedTuple):
    """A mapping that the log says to work by from here on."""

    mapping: Mapping
    text: bytes
    """Empty: nobody has it."""
    offset: int
    """Of the control record."""


class Applied:
    """The folder's mapping, and how any other one is had; made once for a process."""

    def __init__(
        self, folder: Mapping | None, text: bytes = b"", compile_text: Compile | None = None, refused: str = ""
    ) -> None:
        """`folder` None: it is `refused`.  Without `text` and `compile_text` nothing is kept, and only the folder's
        mapping can be worked by."""
        self.folder, self.refused = folder, refused
        self._text, self._compile = text, compile_text
        self._told: set[str] = set()
        """Fingerprints that the log has told since the folder was read."""

    def begin(self) -> Mapping:
        """The mapping of a lane that has no state.  Raises InvalidInput."""
        if self.folder is None:
            raise InvalidInput(self.refused)
        return self.folder

    def unapplied(self, fingerprint: bytes) -> str:
        """Why the folder's mapping is not the one of this fingerprint, which the lane works by or is about to; '': it
        is, or the folder was read before that one was applied."""
        if fingerprint.hex() in self._told:
            return ""
        if self.folder is None:
            return f"its mapping files are refused ({self.refused})"
        return "" if self.folder.fingerprint == fingerprint else "its mapping files were changed and not applied"

    def kept(self, state: View, fingerprint: bytes) -> Mapping | None:
        """The mapping of this fingerprint, for a lane that opens; its text is in the state afterwards.  None: it is
        neither the folder's nor kept, or this release refuses it."""
        if self.folder is not None and fingerprint == self.folder.fingerprint:
            self.count(state, self._text)
            return self.folder
        text = state.get(TEXT)
        found = None if text is None else self.compiled(text)
        return found if found is not None and found.fingerprint == fingerprint else None

    def compiled(self, text: bytes) -> Mapping | None:
        """The mapping of a text that the state has; None: this release refuses it."""
        if self._compile is None:
            return None
        try:
            return self._compile(text)
        except InvalidInput:
            return None

    def told(self, control: Control, offset: int) -> Switch | None:
        """What a switch in the log tells to work by; None: neither the record nor the folder has it.

        Raises InvalidInput for a text that this release refuses.
        """
        self._told.add(control.fingerprint)
        if self.folder is not None and control.fingerprint == self.folder.fingerprint.hex():
            return Switch(self.folder, self._text, offset)
        if not control.text or self._compile is None:
            return None
        return Switch(self._compile(control.text), control.text, offset)

    @staticmethod
    def count(state: View, text: bytes) -> None:
        """From here on the mapping of this text counts."""
        if text and state.get(TEXT) != text:
            state.put(TEXT, text)
