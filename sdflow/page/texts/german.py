"""The page's words in German; those of the panels are in panels.py."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # ---- around the workbench
    "header": (
        "<h1>SDFlow</h1><p>Gesichter in echten Fotos verändern, mehrere Merkmale auf einmal.</p>"
    ),
    "loading": (
        "<p><span class='spinner' aria-hidden='true'></span> Die Netze werden geladen; beim ersten"
        " Start auch aus dem Internet, was Minuten dauert. Was Sie jetzt anfordern, beginnt,"
        " sobald sie da sind.</p>"
    ),
    "fetching": (
        "<p><span class='spinner' aria-hidden='true'></span> Für den ersten Start wird geladen:"
        " {file}. Was Sie jetzt anfordern, beginnt, sobald die Netze da sind.</p>"
    ),
    "failed": (
        "<p>Die Netze konnten nicht geladen werden; der Grund steht im Protokoll des Servers. Die"
        " nächste Anfrage versucht es noch einmal.</p>"
    ),
    "notes.title": "Modelle, Einwilligung, Verzerrung, Lizenzen, Datenschutz",
    "models": (
        "<p><strong>Modelle.</strong> {set}: {generator}, {encoder}, {semantics}. {why}</p>"
    ),
    "models.set": "Es läuft der Satz „{name}“",
    "models.mix": "Es läuft eine Mischung",
    "generator.mobile": "der leichte Generator (MobileStyleGAN)",
    "generator.stylegan2": "StyleGAN2 in voller Größe",
    "encoder.ours": "unser Encoder",
    "encoder.e4e": "der Encoder e4e",
    "semantics.ours": "unsere Merkmale",
    "semantics.released": "die fünf Merkmale der Autoren von SDFlow",
    "semantics.released3": "die drei Merkmale der Autoren von SDFlow",
    "notes": """
<p><strong>Einwilligung.</strong> Bearbeiten Sie Fotos von Menschen, die damit einverstanden sind,
und sagen Sie dazu, dass ein Bild bearbeitet ist, wo Sie es zeigen. Jedes heruntergeladene Bild
trägt diesen Vermerk für Programme, die ihn lesen (IPTC Digital Source Type).</p>
<p><strong>Verzerrung und Grenzen.</strong> Die Netze haben wenige Kinder, wenige sehr alte
Menschen und mehr helle als dunkle Haut gesehen; helleres Haar bringt oft hellere Haut mit sich,
eine Brille mehr Jahre. „Weiblich“, „männlich“, „jung“ und „alt“ heißt, was sie so zu nennen
gelernt haben; über einen Menschen sagt es nichts. Das Gesicht allein ist ein neues Bild, das dem
Menschen ähnelt: Schmuck, Hände, Hüte und Hintergründe ändern sich darin. Im Foto bleibt, was die
Bearbeitung nicht berührt, das des Fotos, und außerhalb von Gesicht, Haar und Hals ändert sich
nichts; doch große Drehungen des Kopfes, Haar vor unruhigem Hintergrund, Hände und Sonnenbrillen
vor dem Gesicht und Gesichter im Profil können falsch aussehen. „Ähnlichkeit“ ist eine Schätzung:
wie wahrscheinlich ein anderes Netz Bild und Foto für denselben Menschen hält.</p>
<p><strong>Lizenzen.</strong> Für Forschung und andere nicht kommerzielle Zwecke: Der Generator
stammt von StyleGAN2 ab, das mit FFHQ trainiert wurde, das Modell der Gesichtspunkte von iBUG
300-W. NOTICE nennt sie alle.</p>
<p><strong>Datenschutz.</strong> Eine Kopie Ihres Fotos bleibt in einem privaten Ordner auf diesem
Server, solange ein Gesicht daraus in Gebrauch ist, damit die Bearbeitung wieder hineinfindet.
Niemand sonst kommt daran. Sie wird mit den Gesichtern gelöscht, zwei Stunden nach deren letztem
Gebrauch, alles andere binnen drei Stunden; „Mein Gesicht jetzt löschen“ entfernt alles sofort.
Heruntergeladene Bilder enthalten weder Ort noch Kamera noch andere Metadaten des Fotos.</p>
""",
    # ---- source
    "photo": "Foto",
    "faces": "Gesichter im Foto",
    "faces.edited": "bearbeitet",
    "random": "Zufallsgesicht",
    "open": "Datei öffnen",
    "examples": "Beispiele",
    "delete": "Mein Gesicht jetzt löschen",
    "delete.note": (
        "Entfernt Ihre Fotos, Gesichter, Ergebnisse und Einstellungen sofort von diesem Server."
    ),
    "deleted": "Von Ihren Fotos und Gesichtern ist nichts mehr auf diesem Server.",
    "deleted.meanwhile": "Das Gesicht wurde gelöscht, wie gewünscht. Öffnen Sie ein neues Foto.",
    # ---- view
    "where": "Was gezeigt wird",
    "where.compare": "Vorher/nachher",
    "where.face": "Gesicht",
    "where.photo": "Im Foto",
    "where.cutout": "Freigestellt",
    "empty": (
        "<p><strong>Noch kein Gesicht</strong></p><p>Laden Sie ein Foto hoch, wählen Sie ein"
        " Beispiel oder nehmen Sie ein Zufallsgesicht.</p>"
    ),
    "before": "Vorher",
    "after": "Nachher",
    "divider": "Trennlinie zwischen vorher und nachher",
    "inset": "Vorschau des Gesichts",
    "alone": "Bearbeitetes Gesicht",
    "caption.full": "{width} × {height} px, in {seconds:.1f} s",
    "caption.preview": "Vorschau, {size} px …",
    "caption.follows": "Vorschau des Gesichts, das Foto folgt …",
    "no_place": (
        "Zu diesem Gesicht gibt es kein Foto: Es ist ein Zufallsgesicht oder kam aus einer Datei."
        " Öffnen Sie ein Foto, um die Bearbeitung darin zu sehen."
    ),
    # ---- likeness
    "likeness": "Ähnlichkeit",
    "likeness.why": "Wie wahrscheinlich ein anderes Netz in Bild und Foto denselben sieht",
    "likeness.good": "gut",
    "likeness.fair": "mittel",
    "likeness.poor": "gering",
    "likeness.work": "Arbeit an der Ähnlichkeit",
    "likeness.hint": (
        "Verfeinern dauert einige Sekunden. Anpassen stellt das Netz etwa eine Minute lang auf"
        " dieses eine Gesicht ein und kommt ihm am nächsten: auch Muttermale, Licht und"
        " Hintergrund."
    ),
    "refine": "Verfeinern",
    "tune": "Anpassen",
    "stop": "Anhalten",
    "starting": "Beginnt",
    "step": "Schritt {done} von {steps}",
    # ---- downloads and readout
    "format": "Format des Bildes",
    "take": "Bild herunterladen",
    "mask": "Maske",
    "face_file": "Gesichtsdatei",
    "recipe": "Rezept",
    "readout": "Merkmale, vorher → nachher",
    "readout.name": "Merkmal",
    "readout.range": "Von Pol zu Pol",
    "celeba": "Die 40 Merkmale von CelebA",
    "celeba.about": "Fett steht, was der veröffentlichte Klassifikator für wahrscheinlich hält.",
    "celeba.name": "Merkmal von CelebA",
    "celeba.age_group": "Altersgruppe, 0 bis 6",
    "celeba.working": "Wird gelesen …",
    # ---- controls
    "undo": "Rückgängig",
    "redo": "Wiederholen",
    "reset": "Alles auf null",
    "to_zero": "Auf null:",
    "presets": "Vorlagen",
    "mapping": "Regler",
    "mapping.poles": "Von Pol zu Pol",
    "mapping.original": "Wie im Original",
    "mapping.hint": (
        "Wie in der Demo des Originals: 0,15 ist, was der Klassifikator im Gesicht sieht, 0,85 das"
        " Gegenteil, 1 geht darüber hinaus; unter 0,15 wird verstärkt, was er sieht. Was auf 0"
        " steht, wird nicht bearbeitet."
    ),
    "mapping.edit": "{edit} (wie im Original)",
    "settings": "Einstellungen als JSON",
    "settings.label": "Stärken der bewegten Regler",
    "settings.apply": "Anwenden",
    "settings.bad": (
        'Diese Einstellungen sind nicht lesbar. Fügen Sie ein Objekt ein wie {{"smiling": 0.5,'
        ' "young": -0.2}}.'
    ),
}

# name → label, negative, positive
ATTRIBUTES: dict[str, tuple[str, str, str]] = {
    "gender": ("Geschlecht", "weiblich", "männlich"),
    "young": ("Jugend", "alt", "jung"),
    "smiling": ("Lächeln", "ernst", "lächelnd"),
    "mouth_open": ("Mund", "geschlossen", "offen"),
    "open_eyes": ("Augen", "schmal", "weit offen"),
    "yaw": ("Kopf drehen", "nach links", "nach rechts"),
    "pitch": ("Kopf neigen", "nach unten", "nach oben"),
    "dark_hair": ("Haarfarbe", "hell", "dunkel"),
    "wavy_hair": ("Haarwellen", "glatt", "wellig"),
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
PRESETS: dict[str, str] = {
    "big_smile": "Breites Lächeln",
    "thoughtful": "Nachdenklich",
    "surprised": "Überrascht",
    "younger": "Jünger",
    "older": "Älter",
    "blond": "Sommerblond",
    "bookish": "Belesen",
    "aside": "Zur Seite",
}
