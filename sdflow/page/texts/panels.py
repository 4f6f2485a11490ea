"""The panels' words: variants, morph and comparison, in English and German, the same keys."""

from __future__ import annotations

ENGLISH: dict[str, str] = {
    # ---- all three
    "unedited": "Unedited",
    "use": "Use this edit: {edit}",
    "pictures.done": "{done} of {steps}",
    "download": "Download",
    "stopped": "Stopped after {done} of {steps}.",
    # ---- variants
    "variants": "Variants",
    "variants.kind": "What is varied",
    "variants.one": "One attribute",
    "variants.two": "Two attributes",
    "variants.across": "Attribute",
    "variants.down": "Second attribute",
    "variants.columns": "Pictures",
    "variants.size": "Rows and columns",
    "variants.make": "Show variants",
    "variants.empty": (
        "<p><strong>See an edit at several strengths</strong></p><p>One attribute from end to end,"
        " or two against each other, on top of what the sliders say. Click a picture to go on from"
        " it.</p>"
    ),
    "variants.board": "Variants",
    "variants.progress": "Variants being made",
    "tried": "Tried so far",
    "tried.heading": (
        "<h2>Tried so far</h2><p>The edits of this face that you have seen at full size, the"
        " newest first. Click one to return to it.</p>"
    ),
    "tried.empty": "Nothing yet: edits gather here as you make them.",
    # ---- morph
    "morph": "Morph",
    "morph.path": "The way of the morph",
    "morph.start": "Original",
    "morph.present": "Present edit",
    "morph.add": "Add this edit",
    "morph.clear": "Clear list",
    "morph.remove": "Remove edit {number}: {edit}",
    "morph.full": "The list is full. Remove an edit first.",
    "morph.seconds": "Seconds",
    "morph.back": "There and back",
    "morph.format": "Format",
    "morph.size": "Size in pixels",
    "morph.make": "Make morph",
    "morph.waiting": "Waiting for its turn",
    "morph.frame": "Frame {done} of {steps}",
    "morph.writing": "Writing the file",
    "morph.progress": "Morph being made",
    "morph.stopped": "Stopped; no morph was written.",
    "morph.nothing": (
        "The morph would stand still: move a slider, or add edits to the list, first."
    ),
    "morph.empty": (
        "<p><strong>No morph yet</strong></p><p>The face moves from the original to the edit on"
        " the sliders, or through the edits that you add to the list.</p>"
    ),
    "morph.video": "Morph of the face, from the original to the edit",
    # ---- comparison
    "compare": "Compare",
    "compare.kind": "What is compared",
    "compare.people": "Several people",
    "compare.attributes": "Every attribute",
    "compare.photos": "Add photos",
    "compare.effort": "How photos are opened",
    "compare.quick": "Quickly",
    "compare.alike": "More alike",
    "compare.add": "Add open faces",
    "compare.clear": "Remove all",
    "compare.remove": "Remove {name}",
    "compare.list": "People to compare",
    "compare.nobody": "Nobody yet: add photos, or the faces that are open above.",
    "compare.random": "Random face",
    "compare.face": "Face {number}",
    "compare.make": "Compare",
    "compare.strengths": "Strengths",
    "compare.strengths.2": "±1",
    "compare.strengths.4": "±0.5, ±1",
    "compare.photo": "Photo",
    "compare.now": "Now",
    "compare.edit": "Edit",
    "compare.opening": "{name}: photo {number} of {count}",
    "compare.failed": "Could not be added",
    "compare.full": "There is room for {most} people. Remove one first.",
    "compare.too_many": "left out: there is room for {most} people. Remove one first.",
    "compare.nothing_opened": "No other face is open here. Open a photo or take a random face.",
    "compare.nobody_to": "There is nobody to compare. Add photos or faces first.",
    "compare.progress": "Comparison being made",
    "compare.board": "Comparison",
    "compare.empty": (
        "<p><strong>Nothing compared yet</strong></p><p>Several people: the edit on the sliders,"
        " applied to all of them. Every attribute: each slider moved to both sides, on top of the"
        " present edit.</p>"
    ),
}

GERMAN: dict[str, str] = {
    # ---- all three
    "unedited": "Unverändert",
    "use": "Diese Bearbeitung übernehmen: {edit}",
    "pictures.done": "{done} von {steps}",
    "download": "Herunterladen",
    "stopped": "Angehalten nach {done} von {steps}.",
    # ---- variants
    "variants": "Varianten",
    "variants.kind": "Was verändert wird",
    "variants.one": "Ein Merkmal",
    "variants.two": "Zwei Merkmale",
    "variants.across": "Merkmal",
    "variants.down": "Zweites Merkmal",
    "variants.columns": "Bilder",
    "variants.size": "Zeilen und Spalten",
    "variants.make": "Varianten zeigen",
    "variants.empty": (
        "<p><strong>Eine Veränderung in mehreren Stärken sehen</strong></p><p>Ein Merkmal von Ende"
        " zu Ende oder zwei gegeneinander, zusätzlich zu dem, was die Regler sagen. Ein Klick auf"
        " ein Bild, und es geht von dort aus weiter.</p>"
    ),
    "variants.board": "Varianten",
    "variants.progress": "Varianten entstehen",
    "tried": "Bisher versucht",
    "tried.heading": (
        "<h2>Bisher versucht</h2><p>Die Bearbeitungen dieses Gesichts, die Sie in voller Größe"
        " gesehen haben, die neueste zuerst. Ein Klick führt zurück.</p>"
    ),
    "tried.empty": "Noch nichts: Hier sammeln sich Ihre Bearbeitungen.",
    # ---- morph
    "morph": "Verwandlung",
    "morph.path": "Der Weg der Verwandlung",
    "morph.start": "Original",
    "morph.present": "Jetziger Stand",
    "morph.add": "Hinzufügen",
    "morph.clear": "Liste leeren",
    "morph.remove": "Bearbeitung {number} entfernen: {edit}",
    "morph.full": "Die Liste ist voll. Entfernen Sie zuerst eine Bearbeitung.",
    "morph.seconds": "Sekunden",
    "morph.back": "Hin und zurück",
    "morph.format": "Format",
    "morph.size": "Größe in Pixeln",
    "morph.make": "Erstellen",
    "morph.waiting": "Wartet, bis es an der Reihe ist",
    "morph.frame": "Bild {done} von {steps}",
    "morph.writing": "Die Datei wird geschrieben",
    "morph.progress": "Die Verwandlung entsteht",
    "morph.stopped": "Angehalten; es wurde keine Datei geschrieben.",
    "morph.nothing": (
        "Die Verwandlung stünde still: Bewegen Sie zuerst einen Regler, oder fügen Sie der Liste"
        " Bearbeitungen hinzu."
    ),
    "morph.empty": (
        "<p><strong>Noch keine Verwandlung</strong></p><p>Das Gesicht wandelt sich vom Original"
        " zum Stand der Regler oder durch die Bearbeitungen, die Sie der Liste hinzufügen.</p>"
    ),
    "morph.video": "Verwandlung des Gesichts, vom Original zur Bearbeitung",
    # ---- comparison
    "compare": "Vergleich",
    "compare.kind": "Was verglichen wird",
    "compare.people": "Mehrere Menschen",
    "compare.attributes": "Alle Merkmale",
    "compare.photos": "Fotos hinzufügen",
    "compare.effort": "Wie Fotos geöffnet werden",
    "compare.quick": "Schnell",
    "compare.alike": "Ähnlicher",
    "compare.add": "Offene Gesichter",
    "compare.clear": "Alle entfernen",
    "compare.remove": "{name} entfernen",
    "compare.list": "Menschen zum Vergleichen",
    "compare.nobody": "Noch niemand: Fügen Sie Fotos oder die oben offenen Gesichter hinzu.",
    "compare.random": "Zufallsgesicht",
    "compare.face": "Gesicht {number}",
    "compare.make": "Vergleichen",
    "compare.strengths": "Stärken",
    "compare.strengths.2": "±1",
    "compare.strengths.4": "±0.5, ±1",
    "compare.photo": "Foto",
    "compare.now": "Jetzt",
    "compare.edit": "Bearbeitung",
    "compare.opening": "{name}: Foto {number} von {count}",
    "compare.failed": "Nicht hinzugefügt",
    "compare.full": "Es ist Platz für {most} Menschen. Entfernen Sie zuerst jemanden.",
    "compare.too_many": (
        "ausgelassen: Es ist Platz für {most} Menschen. Entfernen Sie zuerst jemanden."
    ),
    "compare.nothing_opened": (
        "Hier ist kein weiteres Gesicht geöffnet. Öffnen Sie ein Foto, oder nehmen Sie ein"
        " Zufallsgesicht."
    ),
    "compare.nobody_to": (
        "Es gibt niemanden zu vergleichen. Fügen Sie zuerst Fotos oder Gesichter hinzu."
    ),
    "compare.progress": "Der Vergleich entsteht",
    "compare.board": "Vergleich",
    "compare.empty": (
        "<p><strong>Noch nichts verglichen</strong></p><p>Mehrere Menschen: was die Regler sagen,"
        " auf alle angewandt. Alle Merkmale: jeder Regler nach beiden Seiten bewegt, zusätzlich"
        " zur jetzigen Bearbeitung.</p>"
    ),
}
