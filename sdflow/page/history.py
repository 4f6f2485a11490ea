"""What undo and redo go through: the states that the sliders of a face came to rest in."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field

from sdflow.page.scales import Strengths

MOST = 100  # states


@dataclass
class History:
    """States of one face, of which one is the present.

    Attributes:
        states: strengths that are not 0, the oldest first.
        at: index of the present one.
        left: states from which undo and redo went, and where the sliders may still seem to be.
    """

    states: list[Strengths] = field(default_factory=lambda: [{}])
    at: int = 0
    left: list[Strengths] = field(default_factory=list)

    def settle(self, strengths: Strengths) -> None:
        """The sliders rest; what was undone before can no longer be redone, if they moved."""
        if not self._is_here(strengths):
            self.states[self.at + 1 :] = [copy(strengths)]
            del self.states[:-MOST]
            self.at = len(self.states) - 1
            self.left.clear()

    def moved(self, strengths: Strengths) -> None:
        """The sliders are seen somewhere; undo and redo have arrived if it is there."""
        if strengths == self.states[self.at]:
            self.left.clear()

    def undo(self, strengths: Strengths) -> Strengths:
        """The state before the one that the sliders are in, which need not have settled."""
        self._leave(strengths)
        self.at = max(self.at - 1, 0)
        return self.states[self.at]

    def redo(self, strengths: Strengths) -> Strengths:
        """The state that was undone last; if there is none, or the sliders moved since, theirs."""
        self._leave(strengths)
        self.at = min(self.at + 1, len(self.states) - 1)
        return self.states[self.at]

    def can_undo(self, strengths: Strengths) -> bool:
        """Whether `undo` would lead elsewhere."""
        return self.at > 0 or not self._is_here(strengths)

    def can_redo(self, strengths: Strengths) -> bool:
        """Whether `redo` would."""
        return self.at < len(self.states) - 1 and self._is_here(strengths)

    def _is_here(self, strengths: Strengths) -> bool:
        """Whether the sliders are in the present state or on their way to it."""
        return strengths == self.states[self.at] or strengths in self.left

    def _leave(self, strengths: Strengths) -> None:
        """A way begins where the sliders are; if they are still on another one, at its end."""
        self.settle(strengths)
        self.left.append(self.states[self.at])
