"""What the API tells of a face and of an edit."""

from __future__ import annotations

from typing import Any

from sdflow.edited import Edited
from sdflow.faces import Face
from sdflow.page.pasting import PastedPhoto


def measured(face: Face) -> dict[str, Any]:
    """What opening a face has found."""
    return {
        "faces_found": face.faces_found,
        "confidence": face.confidence,
        "warnings": list(face.warnings),
        "seconds_per_step": dict(face.seconds_per_step),
        **noted(face),
    }


def reported(edited: Edited, made: Edited | PastedPhoto) -> dict[str, Any]:
    """Values of an edit, and how what was made of it was made."""
    values = {"before": edited.before, "after": edited.after, "seconds": made.seconds}
    return values | noted(made)


def noted(made: Face | Edited | PastedPhoto) -> dict[str, list[str]]:
    """Notes on how something was made, where there are any."""
    return {"notes": list(made.notes)} if made.notes else {}
