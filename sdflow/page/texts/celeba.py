"""What CelebA's attributes are called on the page: its own names in plain English, and German."""

from __future__ import annotations

GERMAN = {
    "5_o_Clock_Shadow": "Bartschatten",
    "Arched_Eyebrows": "Geschwungene Brauen",
    "Attractive": "Attraktiv",
    "Bags_Under_Eyes": "Augenringe",
    "Bald": "Glatze",
    "Bangs": "Pony",
    "Big_Lips": "Große Lippen",
    "Big_Nose": "Große Nase",
    "Black_Hair": "Schwarzes Haar",
    "Blond_Hair": "Blondes Haar",
    "Blurry": "Unscharf",
    "Brown_Hair": "Braunes Haar",
    "Bushy_Eyebrows": "Buschige Brauen",
    "Chubby": "Pausbäckig",
    "Double_Chin": "Doppelkinn",
    "Eyeglasses": "Brille",
    "Goatee": "Kinnbart",
    "Gray_Hair": "Graues Haar",
    "Heavy_Makeup": "Starkes Make-up",
    "High_Cheekbones": "Hohe Wangenknochen",
    "Male": "Männlich",
    "Mouth_Slightly_Open": "Mund leicht offen",
    "Mustache": "Schnurrbart",
    "Narrow_Eyes": "Schmale Augen",
    "No_Beard": "Kein Bart",
    "Oval_Face": "Ovales Gesicht",
    "Pale_Skin": "Blasse Haut",
    "Pointy_Nose": "Spitze Nase",
    "Receding_Hairline": "Hohe Stirn",
    "Rosy_Cheeks": "Rosige Wangen",
    "Sideburns": "Koteletten",
    "Smiling": "Lächelnd",
    "Straight_Hair": "Glattes Haar",
    "Wavy_Hair": "Welliges Haar",
    "Wearing_Earrings": "Ohrringe",
    "Wearing_Hat": "Hut",
    "Wearing_Lipstick": "Lippenstift",
    "Wearing_Necklace": "Halskette",
    "Wearing_Necktie": "Krawatte",
    "Young": "Jung",
}
ENGLISH = {
    name: name.replace("_o_", " o'").replace("_", " ").capitalize() for name in GERMAN
}
