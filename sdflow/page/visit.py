"""What a session of the page keeps: the photo, the faces of it that were opened, their sliders."""

from __future__ import annotations

from dataclasses import dataclass, field

from sdflow.page.texts import DEFAULT, say
from sdflow.page.work import Work


@dataclass
class Chosen:
    """A face that a visitor has opened.

    Attributes:
        token: under which the service keeps it.
        strengths: of its sliders, those that are not 0.
        refined: its likeness was worked on as long as the button does.
    """

    token: str
    strengths: dict[str, float] = field(default_factory=dict)
    refined: bool = False


@dataclass
class Visit:
    """One object that a session's handlers change, so that a slow one sees what came after it.

    Attributes:
        language: of the visitor, see `sdflow.page.texts`.
        photo: path of the photo that is shown as the source.
        faces: those opened, by their number in the photo; a random face is number 0.
        number: of the face that the sliders belong to.
        in_photo: the edit is shown in the photo, not as the face alone.
        request: counts what was asked for.
        wanted: work on the likeness was asked for, and not stopped since.
        work: on the likeness, as long as it runs.
    """

    language: str = DEFAULT
    photo: str | None = None
    faces: dict[int, Chosen] = field(default_factory=dict)
    number: int = 0
    in_photo: bool = False
    request: int = 0
    wanted: bool = False
    work: Work | None = None

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
        return self.chosen.strengths if self.chosen else {}

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
        self.photo, self.faces, self.number = photo, {0: Chosen(token)}, 0

    def stop(self) -> None:
        """Ends the work on the likeness; the best so far is kept."""
        self.wanted = False
        if self.work:
            self.work.stop()
