"""What a visitor gathers beside the sliders: states of a face with small pictures, and people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdflow.page.boards import Board
    from sdflow.page.work import Work

MOST_TRIED = 40  # states of a face in its history
MOST_EDITS = 8  # in a morph's list, so that there and back is no more than its stops


@dataclass(frozen=True, eq=False)
class Tried:
    """A state of a face that can be returned to.

    Attributes:
        strengths: of its sliders, those that are not 0.
        picture: small.
    """

    strengths: Mapping[str, float]
    picture: Path


@dataclass(eq=False)
class Job:
    """Long work that was asked for; it can be stopped also while it waits for its turn.

    Attributes:
        stopped: nobody wants it any more.
        work: once it has begun.
    """

    stopped: bool = False
    work: Work | None = None

    def stop(self) -> None:
        """Ends it after the step that it is at."""
        self.stopped = True
        if self.work:
            self.work.stop()


@dataclass(eq=False)
class Trials:
    """What was made of one face.

    Attributes:
        tried: states that were seen at full size, the newest first.
        board: variants side by side.
        stops: the edits of a morph, in order.
        morph: the latest one's file.
        job: the morph that was asked for last.
    """

    tried: list[Tried] = field(default_factory=list)
    board: Board | None = None
    stops: list[Tried] = field(default_factory=list)
    morph: Path | None = None
    job: Job | None = None

    def remember(self, new: Tried) -> None:
        """Adds a state to the history; one that is in it already stays where it is."""
        for place, old in enumerate(self.tried):
            if old.strengths == new.strengths:
                self.tried[place] = new
                return
        self.tried[:] = [new, *self.tried][:MOST_TRIED]

    def picture_of(self, strengths: Mapping[str, float]) -> Path | None:
        """The picture of a state, if it is in the history."""
        return next((one.picture for one in self.tried if one.strengths == strengths), None)

    def stop(self) -> None:
        """Ends what is being made."""
        if self.job:
            self.job.stop()
        if self.board:
            self.board.stopped = True


@dataclass(frozen=True, eq=False)
class Person:
    """One of those to compare.

    Attributes:
        name: to show, such as that of the photo's file; None for a random face.
        token: of the face.
        picture: small.
        has_photo: the face is from one.
        own: was opened for the comparison alone, and is forgotten when it leaves it.
    """

    name: str | None
    token: str
    picture: Path
    has_photo: bool
    own: bool


@dataclass(eq=False)
class Gathered:
    """The comparison.

    Attributes:
        people: to compare.
        waiting: paths of photos that are still to be opened.
        asked: how many photos are or were to be opened, since there were none.
        failures: name and reason of photos that were not added.
        work: on the photo that is being opened.
        board: the pictures side by side.
    """

    people: list[Person] = field(default_factory=list)
    waiting: list[Path] = field(default_factory=list)
    asked: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    work: Work | None = None
    board: Board | None = None

    def stop(self) -> None:
        """Ends what is being made; photos that wait are removed unopened."""
        for path in self.waiting:
            path.unlink(missing_ok=True)
        self.waiting.clear()
        if self.work:
            self.work.stop()
        if self.board:
            self.board.stopped = True
