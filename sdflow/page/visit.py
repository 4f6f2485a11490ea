"""What a session of the page keeps: the photo, the faces of it that were opened, their sliders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sdflow.edit import POLES
from sdflow.page.history import History
from sdflow.page.scales import edit_of
from sdflow.page.texts import DEFAULT, say
from sdflow.page.tried import Gathered, Trials
from sdflow.page.work import Work

COMPARE, FACE, IN_PHOTO, CUT_OUT = "compare", "face", "photo", "cutout"  # what can be shown


@dataclass
class Chosen:
    """A face that a visitor has opened.

    Attributes:
        token: under which the service keeps it.
        strengths: of its sliders, those that are not 0; see `sdflow.page.scales`.
        refined: its likeness was worked on as long as the button does.
        history: for undo and redo.
        trials: what the panels made of it.
    """

    token: str
    strengths: dict[str, float] = field(default_factory=dict)
    refined: bool = False
    history: History = field(default_factory=History)
    trials: Trials = field(default_factory=Trials)


@dataclass
class Visit:
    """One object that a session's handlers change, so that a slow one sees what came after it.

    Attributes:
        language: of the visitor, see `sdflow.page.texts`.
        photo: path of the photo that is shown as the source.
        thumbnails: files of its faces, if there are several.
        faces: those opened, by their number in the photo; a random face is number 0.
        number: of the face that the sliders belong to.
        mapping: what the sliders mean, see `Editor.edit`.
        where: one of `COMPARE`, `FACE`, `IN_PHOTO`, `CUT_OUT`: how the edit is shown.
        suffixes: of the picture to take along, of a photo (True) and of a face (False), once the
            visitor has chosen one.
        reads_celeba: CelebA's attributes are looked at.
        request: counts what was asked for.
        previewed: the last request that was for a preview.
        awaited: the full size of previews will follow once the sliders rest.
        wanted: work on the likeness was asked for, and not stopped since.
        work: on the likeness, as long as it runs.
        gathered: people to compare.
        tokens: of all faces that the visit has had.
        uploads: files that came from the visitor.
        deletions: counts how often the visitor had everything deleted.
    """

    language: str = DEFAULT
    photo: str | None = None
    thumbnails: list[Path] = field(default_factory=list)
    faces: dict[int, Chosen] = field(default_factory=dict)
    number: int = 0
    mapping: str = POLES
    where: str = COMPARE
    suffixes: dict[bool, str] = field(default_factory=dict)
    reads_celeba: bool = False
    request: int = 0
    previewed: int = 0
    awaited: bool = False
    wanted: bool = False
    work: Work | None = None
    gathered: Gathered = field(default_factory=Gathered)
    tokens: set[str] = field(default_factory=set)
    uploads: set[str] = field(default_factory=set)
    deletions: int = 0

    @property
    def in_photo(self) -> bool:
        """The edit is shown in the photo, not as the face alone."""
        return self.where == IN_PHOTO

    @property
    def chosen(self) -> Chosen | None:
        """The face that the sliders belong to."""
        return self.faces.get(self.number)

    @property
    def token(self) -> str | None:
        """The chosen face's."""
        return self.chosen.token if self.chosen else None

    @property
    def strengths(self) -> dict[str, float]:
        """The chosen face's."""
        return (self.chosen and self.chosen.strengths) or edit_of({}, self.mapping)

    @property
    def trials(self) -> Trials:
        """What the panels made of the chosen face."""
        return self.chosen.trials if self.chosen else Trials()

    @property
    def edits(self) -> list[tuple[str, dict[str, float]]]:
        """The photo's faces as the sliders were left: the chosen one, before it those moved."""
        others = [face for face in self.faces.values() if face is not self.chosen]
        moved = [(face.token, face.strengths) for face in others if face.strengths]
        return [*moved, *[(face.token, face.strengths) for face in [self.chosen] if face]]

    def say(self, key: str, **values: object) -> str:
        """Words in the visitor's language; errors as for `texts.say`."""
        return say(self.language, key, **values)

    def ask(self) -> int:
        """Counts a new request, before which earlier ones give up."""
        self.request += 1
        return self.request

    def begin(self, photo: str | None, token: str) -> None:
        """A new photo, or none, with one face."""
        self.stop()
        self.photo, self.thumbnails = photo, []
        self.faces, self.number = {0: Chosen(token)}, 0
        self.tokens.add(token)

    def forget(self) -> tuple[set[str], set[str]]:
        """Begins anew, as if nothing had been opened; returns the tokens and uploads to delete."""
        self.stop()
        if self.work:
            self.work.abandon()
        self.trials.stop()
        self.gathered.stop()
        if self.gathered.board:
            self.gathered.board.discard()
        tokens = self.tokens | {person.token for person in self.gathered.people}
        uploads, self.tokens, self.uploads = self.uploads, set(), set()
        self.photo, self.thumbnails, self.gathered = None, [], Gathered()
        self.faces, self.number, self.where, self.suffixes = {}, 0, COMPARE, {}
        self.mapping = POLES
        self.deletions += 1
        self.ask()
        return tokens, uploads

    def stop(self) -> None:
        """Ends the work on the likeness; the best so far is kept."""
        self.wanted = False
        if self.work:
            self.work.stop()
