"""The page's words in German."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # ---- around the workbench
    "header": (
        "<h1>SDFlow</h1><p>Gesichter in echten Fotos verändern: mehrere Merkmale auf einmal, mit"
        " kleinen Netzen, die keine Grafikkarte brauchen.</p>"
    ),
    "loading": (
        "<p><span class='spinner' aria-hidden='true'></span> Die Netze werden geladen. Beim ersten"
        " Start kommen etwa 140 MB über das Netz. Was Sie jetzt wünschen, beginnt, sobald sie da"
        " sind.</p>"
    ),
    "failed": (
        "<p>Die Netze konnten nicht geladen werden; der Grund steht im Protokoll des Servers. Die"
        " nächste Anfrage versucht es noch einmal.</p>"
    ),
    # ---- source
    "photo": "Foto",
    "faces": "Gesichter im Foto",
    "random": "Zufälliges Gesicht",
    "open": "Gesichtsdatei öffnen",
    "examples": "Beispiele",
    # ---- view
    "where": "Was gezeigt wird",
    "where.face": "Gesicht",
    "where.photo": "Im Foto",
    "before": "Vorher",
    "after": "Nachher",
    "inset": "Vorschau des Gesichts",
    "refine": "Ähnlicher machen",
    "tune": "An dieses Gesicht anpassen",
    "stop": "Anhalten",
    "mask": "Maske",
    "face_file": "Gesichtsdatei",
    # ---- controls
    "reset": "Alles zurücksetzen",
}

# name → label, negative, positive
ATTRIBUTES: dict[str, tuple[str, str, str]] = {
    "gender": ("Geschlecht", "weiblich", "männlich"),
    "young": ("Alter", "alt", "jung"),
    "smiling": ("Lächeln", "ernst", "lächelnd"),
    "mouth_open": ("Mund", "geschlossen", "offen"),
    "open_eyes": ("Augen", "schmal", "weit offen"),
    "yaw": ("Kopf drehen", "nach links", "nach rechts"),
    "pitch": ("Kopf neigen", "nach unten", "nach oben"),
    "dark_hair": ("Haarfarbe", "hell", "dunkel"),
    "long_hair": ("Haarlänge", "kurz", "lang"),
    "bangs": ("Pony", "ohne", "mit"),
    "bald": ("Glatze", "volles Haar", "kahl"),
    "beard": ("Bart", "ohne", "mit"),
    "eyeglasses": ("Brille", "ohne", "mit"),
    "hat": ("Hut", "ohne", "mit"),
}
GROUPS: dict[str, str] = {
    "Identity": "Person",
    "Expression": "Ausdruck",
    "Pose": "Haltung",
    "Hair": "Haare",
    "Accessories": "Zubehör",
}
