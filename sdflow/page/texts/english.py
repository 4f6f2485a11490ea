"""The page's words in English; those of the panels are in panels.py."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # ---- around the workbench
    "header": (
        "<h1>SDFlow</h1><p>Edit faces in real photos: several attributes at once.</p>"
    ),
    "loading": (
        "<p><span class='spinner' aria-hidden='true'></span> The networks are being loaded. The"
        " first start also fetches them, which takes minutes. What you ask for now starts as soon"
        " as they are there.</p>"
    ),
    "fetching": (
        "<p><span class='spinner' aria-hidden='true'></span> Being fetched for the first start:"
        " {file}. What you ask for now starts as soon as the networks are loaded.</p>"
    ),
    "failed": (
        "<p>The networks could not be loaded; the reason stands in the server's log. The next"
        " request tries again.</p>"
    ),
    "notes.title": "Models, consent, bias, licences, privacy",
    "models": (
        "<p><strong>Models.</strong> {set}: {generator}, {encoder}, {semantics}. {why}</p>"
    ),
    "models.set": "The set “{name}” runs",
    "models.mix": "A mix runs",
    "generator.mobile": "the light generator (MobileStyleGAN)",
    "generator.stylegan2": "StyleGAN2 in full size",
    "encoder.ours": "our encoder",
    "encoder.e4e": "the encoder e4e",
    "semantics.ours": "our attributes",
    "semantics.released": "the five attributes of SDFlow's authors",
    "semantics.released3": "the three attributes of SDFlow's authors",
    "notes": """
<p><strong>Consent.</strong> Edit photos of people who agree to it, and say that a picture is
edited where you show it. Every download carries that mark for programs that read it (IPTC digital
source type).</p>
<p><strong>Bias and limits.</strong> The networks saw few children, few very old people and more
light than dark skin; lighter hair often comes with lighter skin, and glasses with age. “Female”,
“male”, “young” and “old” are what they learned to call a look, and say nothing about a person. The
face alone is a new picture that resembles the person: jewellery, hands, hats and backgrounds
change in it. In the photo, what the edit leaves alone is the photo's own, and nothing outside of
face, hair and neck changes; but large turns of the head, hair that grows over a busy background,
hands and sunglasses before the face, and faces in profile can look wrong. “Likeness” is an
estimate: how probably another network takes picture and photo for the same person.</p>
<p><strong>Licences.</strong> For research and other non-commercial use: the generator descends
from StyleGAN2 trained on FFHQ, the landmark model from iBUG 300-W. NOTICE names each one.</p>
<p><strong>Privacy.</strong> A copy of your photo stays on this server, in a private folder, for as
long as a face of it is in use, so that the edit can go back into it. Nobody else can reach it. It
is removed with its faces, two hours after their last use, and everything else within three;
“Delete my face now” removes all of it at once. Downloads carry no place, camera or other metadata
of the photo.</p>
""",
    # ---- source
    "photo": "Photo",
    "faces": "Faces in the photo",
    "faces.edited": "edited",
    "random": "Random face",
    "open": "Open a file",
    "examples": "Examples",
    "delete": "Delete my face now",
    "delete.note": (
        "Removes your photos, faces, results and settings from this server, all at once."
    ),
    "deleted": "Nothing of your photos and faces is on this server any more.",
    "deleted.meanwhile": "The face was deleted, as you asked. Open a photo to go on.",
    # ---- view
    "where": "What is shown",
    "where.compare": "Before/after",
    "where.face": "Face",
    "where.photo": "In the photo",
    "where.cutout": "Cut-out",
    "empty": (
        "<p><strong>No face yet</strong></p><p>Upload a photo, choose an example, or take a random"
        " face.</p>"
    ),
    "before": "Before",
    "after": "After",
    "divider": "Divider between before and after",
    "inset": "Preview of the face",
    "alone": "Edited face",
    "caption.full": "{width} × {height} px, in {seconds:.1f} s",
    "caption.preview": "Preview, {size} px …",
    "caption.follows": "Preview of the face, photo follows …",
    "no_place": (
        "There is no photo to show this face in: it is a random one, or came from a file. Open a"
        " photo to see the edit in it."
    ),
    # ---- likeness
    "likeness": "Likeness",
    "likeness.why": "How probably another network takes picture and photo for the same person",
    "likeness.good": "good",
    "likeness.fair": "fair",
    "likeness.poor": "poor",
    "likeness.work": "Work on the likeness",
    "likeness.hint": (
        "Refine takes some seconds. Tune adapts the network to this one face, for about a minute,"
        " and comes closest: moles, light and background too."
    ),
    "refine": "Refine likeness",
    "tune": "Tune to this face",
    "stop": "Stop",
    "starting": "Starting",
    "step": "Step {done} of {steps}",
    # ---- downloads and readout
    "format": "Format of the picture",
    "take": "Download picture",
    "mask": "Mask",
    "face_file": "Face file",
    "recipe": "Recipe",
    "readout": "Attributes, before → after",
    "readout.name": "Attribute",
    "readout.range": "From pole to pole",
    "celeba": "CelebA's 40 attributes",
    "celeba.about": "What the released classifier takes for more likely than not is bold.",
    "celeba.name": "Attribute of CelebA",
    "celeba.age_group": "Age group, 0 to 6",
    "celeba.working": "Being read …",
    # ---- controls
    "undo": "Undo",
    "redo": "Redo",
    "reset": "Reset all",
    "to_zero": "Reset:",
    "presets": "Presets",
    "mapping": "Sliders",
    "mapping.poles": "From pole to pole",
    "mapping.original": "As the original",
    "mapping.hint": (
        "As in the original's demo: 0.15 is what the classifier sees in the face, 0.85 the"
        " opposite, 1 beyond it; below 0.15 there is more of what it sees. What stands at 0 is not"
        " edited."
    ),
    "mapping.edit": "{edit} (as the original)",
    "settings": "Settings as JSON",
    "settings.label": "Strengths of the sliders that are moved",
    "settings.apply": "Apply",
    "settings.bad": (
        'These settings cannot be read. Paste an object such as {{"smiling": 0.5, "young": -0.2}}.'
    ),
}
