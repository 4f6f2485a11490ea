"""German for the sentences that the program tells a visitor, errors and doubts about a photo.

They come from everywhere as English sentences; what stands in braces here is what varies. A
sentence that is not here, such as one that only the API's clients cause, stays English.
"""

from __future__ import annotations

import re

GERMAN: dict[str, str] = {
    # ---- photos
    "There is no photo yet. Upload one, choose an example, or take a random face.": (
        "Es gibt noch kein Foto. Laden Sie eines hoch, wählen Sie ein Beispiel oder nehmen Sie ein"
        " Zufallsgesicht."
    ),
    "This is no image, or a damaged one: choose a JPEG, PNG, WebP or HEIC photo.": (
        "Das ist kein Bild, oder es ist beschädigt: Wählen Sie ein Foto als JPEG, PNG, WebP oder"
        " HEIC."
    ),
    "The image file is damaged or cut off: copy or upload it again, or choose another.": (
        "Die Bilddatei ist beschädigt oder unvollständig: Laden Sie sie noch einmal hoch oder"
        " wählen Sie eine andere."
    ),
    "The image file is empty: copy or upload it again, or choose another.": (
        "Die Bilddatei ist leer: Laden Sie sie noch einmal hoch oder wählen Sie eine andere."
    ),
    "The image file is over {megabytes} MB: save a smaller copy and use that.": (
        "Die Bilddatei hat mehr als {megabytes} MB: Speichern Sie eine kleinere Kopie und nehmen"
        " Sie diese."
    ),
    "The photo is only {width} x {height} pixels: choose one of at least {least} x {least2},"
    " better {good} x {good2}.": (
        "Das Foto hat nur {width} × {height} Pixel: Wählen Sie eines mit mindestens {least} ×"
        " {least}, besser {good} × {good}."
    ),
    "{what} is over the limit of {most} megapixels: save a smaller copy and use that.": (
        "Das Foto hat mehr als {most} Megapixel: Speichern Sie eine kleinere Kopie und nehmen Sie"
        " diese."
    ),
    "No face found: try an upright photo where both eyes are visible.": (
        "Kein Gesicht gefunden: Versuchen Sie ein aufrechtes Foto, in dem beide Augen zu sehen"
        " sind."
    ),
    # ---- faces and files
    "There is no face yet. Open a photo or take a random face first.": (
        "Es gibt noch kein Gesicht. Öffnen Sie zuerst ein Foto oder nehmen Sie ein Zufallsgesicht."
    ),
    "This face is not kept any more. Open the photo again, or its face file.": (
        "Dieses Gesicht ist nicht mehr da. Öffnen Sie das Foto noch einmal oder seine"
        " Gesichtsdatei."
    ),
    "The photo of this face is not kept any more. Open the photo again.": (
        "Das Foto dieses Gesichts ist nicht mehr da. Öffnen Sie es noch einmal."
    ),
    "This is no face file, or a damaged one. {advice}": (
        "Das ist keine Gesichtsdatei, oder sie ist beschädigt. Öffnen Sie das Foto und speichern"
        " Sie eine neue."
    ),
    "This is no recipe, or a damaged one. {advice}": (
        "Das ist kein Rezept, oder es ist beschädigt. Öffnen Sie das Foto und speichern Sie ein"
        " neues."
    ),
    "This JSON file holds no recipe. Choose one that SDFlow saved.": (
        "Diese JSON-Datei enthält kein Rezept. Wählen Sie eine, die SDFlow gespeichert hat."
    ),
    "Unknown attribute {name}. Use one of: {names}.": (
        "Das Merkmal {name} gibt es nicht. Nehmen Sie eines von: {names}."
    ),
    "The strength of {name} is {strength}. Give a number from {least} to {most}; {none} leaves the"
    " attribute as it is.": (
        "Die Stärke von {name} ist {strength}. Geben Sie eine Zahl von {least} bis {most} an;"
        " {none} lässt das Merkmal, wie es ist."
    ),
    # ---- the server
    "There is no GPU: the embedded models run.": (
        "Es gibt keine GPU: Die eingebetteten Modelle laufen."
    ),
    "There is a GPU, and the full-size weights: they run.": (
        "Es gibt eine GPU und die Gewichte in voller Größe: Sie laufen."
    ),
    "There is a GPU, but {names} are not on this machine: the embedded models run.": (
        "Es gibt eine GPU, aber {names} sind nicht auf diesem Rechner: Die eingebetteten Modelle"
        " laufen."
    ),
    "Fetch them with `{command}`.": "Holen Sie sie mit `{command}`.",
    "The released estimator and flow are not here and have no public address: ours take their"
    " place, which know more attributes.": (
        "Estimator und Flow der Autoren sind nicht hier und haben keine öffentliche Adresse:"
        " Unsere treten an ihre Stelle, die mehr Merkmale kennen."
    ),
    "Of the released estimator and flow those for three attributes are here: they run.": (
        "Von Estimator und Flow der Autoren sind die für drei Merkmale hier: Sie laufen."
    ),
    "The released estimator and flow are not on this machine: ours take their place, which know"
    " more attributes.": (
        "Estimator und Flow der Autoren sind nicht auf diesem Rechner: Unsere treten an ihre"
        " Stelle, die mehr Merkmale kennen."
    ),
    "This face file was made with other models: its attributes were read again.": (
        "Diese Gesichtsdatei stammt von anderen Modellen: Ihre Merkmale wurden neu gelesen."
    ),
    "Its tuning is for another generator and was left out.": (
        "Ihre Anpassung gilt für einen anderen Generator und blieb weg."
    ),
    "The GPU's memory was full.": "Der Speicher der GPU war voll.",
    "No GPU was to be had.": "Es war keine GPU zu haben.",
    "This was made on the CPU, which takes longer.": (
        "Das hier ist auf der CPU entstanden, was länger dauert."
    ),
    "This needs the released classifier, which is not on this machine. README.md says how to"
    " fetch and convert it.": (
        "Das braucht den veröffentlichten Klassifikator, der nicht auf diesem Rechner ist. In"
        " README.md steht, wie man ihn holt und umwandelt."
    ),
    "The original's editing does not know {name}. Choose from: {names}.": (
        "Die Bearbeitung des Originals kennt {name} nicht. Nehmen Sie eines von: {names}."
    ),
    "The networks could not be loaded here; the reason stands in the server's log. Try again in a"
    " minute.": (
        "Die Netze konnten nicht geladen werden; der Grund steht im Protokoll des Servers."
        " Versuchen Sie es in einer Minute noch einmal."
    ),
    "This failed because of a fault on our side, which is now in the server's log. Try again, or"
    " try another photo.": (
        "Das ging durch einen Fehler auf unserer Seite schief, der nun im Protokoll des Servers"
        " steht. Versuchen Sie es noch einmal oder mit einem anderen Foto."
    ),
    # ---- doubts
    "The face is only about {width} pixels wide, so its detail is guessed: use a larger photo if"
    " there is one.": (
        "Das Gesicht ist nur etwa {width} Pixel breit, Feinheiten sind also geraten: Nehmen Sie"
        " ein größeres Foto, wenn es eines gibt."
    ),
    "Part of the face lies outside the photo and is made up: use a photo that shows all of it.": (
        "Ein Teil des Gesichts liegt außerhalb des Fotos und ist erfunden: Nehmen Sie eines, das"
        " es ganz zeigt."
    ),
    "Something covers part of the face; what is below it is made up: use a photo that shows the"
    " whole face.": (
        "Etwas verdeckt einen Teil des Gesichts; was darunter liegt, ist erfunden: Nehmen Sie ein"
        " Foto, das es ganz zeigt."
    ),
    "Sunglasses hide the eyes, so edits of the eyes are guesses: use a photo without them.": (
        "Eine Sonnenbrille verdeckt die Augen, was sich an ihnen ändert, ist also geraten: Nehmen"
        " Sie ein Foto ohne sie."
    ),
    "The photo is dark, so much of the face is guessed: brighten it, or use another.": (
        "Das Foto ist dunkel, vieles am Gesicht ist also geraten: Hellen Sie es auf oder nehmen"
        " Sie ein anderes."
    ),
    "The inversion resembles the person only roughly: refine the likeness, or use a sharp photo"
    " that faces the camera.": (
        "Das Ergebnis ähnelt dem Menschen nur grob: Verfeinern Sie es oder nehmen Sie ein scharfes"
        " Foto mit Blick in die Kamera."
    ),
    # ---- panels
    "A morph passes edits of one kind. Clear the list, and add edits with the same choice above"
    " the sliders.": (
        "Eine Verwandlung führt durch Bearbeitungen einer Art. Leeren Sie die Liste und fügen Sie"
        " welche mit derselben Wahl über den Reglern hinzu."
    ),
    "This picture is not there any more. Choose another.": (
        "Dieses Bild ist nicht mehr da. Wählen Sie ein anderes."
    ),
    "A grid takes two different attributes. Choose another one.": (
        "Ein Raster braucht zwei verschiedene Merkmale. Wählen Sie ein anderes."
    ),
}
_PATTERNS = [
    (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(english))), german)
    for english, german in GERMAN.items()
]


def all_translated(language: str, sentences: str) -> str:
    """The same for several, one after the other."""
    return " ".join(translated(language, one) for one in re.split(r"(?<=\.) ", sentences))


def translated(language: str, sentence: str) -> str:
    """A sentence in the visitor's language, if this table knows it."""
    if language == "de":
        for pattern, german in _PATTERNS:
            if found := pattern.fullmatch(sentence):
                return german.format(**found.groupdict())
    return sentence
