"""The page's words in English."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # ---- around the workbench
    "header": (
        "<h1>SDFlow</h1><p>Edit faces in real photos: several attributes at once, on small"
        " networks that need no GPU.</p>"
    ),
    "loading": (
        "<p><span class='spinner' aria-hidden='true'></span> The networks are being loaded. The"
        " first start also fetches about 140 MB. What you ask for now starts as soon as they are"
        " there.</p>"
    ),
    "failed": (
        "<p>The networks could not be loaded; the reason stands in the server's log. The next"
        " request tries again.</p>"
    ),
    # ---- source
    "photo": "Photo",
    "faces": "Faces in the photo",
    "random": "Random face",
    "open": "Open face file",
    "examples": "Examples",
    # ---- view
    "where": "What is shown",
    "where.face": "Face",
    "where.photo": "In the photo",
    "before": "Before",
    "after": "After",
    "inset": "Preview of the face",
    "refine": "Refine likeness",
    "tune": "Tune to this face",
    "stop": "Stop",
    "mask": "Mask",
    "face_file": "Face file",
    # ---- controls
    "reset": "Reset all",
}
