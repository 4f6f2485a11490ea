"""Edited pictures say so: the IPTC digital source type, as XMP, in pictures and in videos.

The term and its property are IPTC's (Photo Metadata Standard, `Iptc4xmpExt:DigitalSourceType`);
where XMP lies in each format is Adobe's XMP specification, part 3.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from PIL import PngImagePlugin

if TYPE_CHECKING:
    from sdflow.faces import Face

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
EDITED = VOCABULARY + "compositeWithTrainedAlgorithmicMedia"  # a photo's face, edited
GENERATED = VOCABULARY + "trainedAlgorithmicMedia"  # a face of nobody
SENTENCE = {
    EDITED: "Edited with SDFlow: composite with trained algorithmic media",
    GENERATED: "Made with SDFlow: trained algorithmic media",
}

_PROPERTY = (
    '<rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    ' Iptc4xmpExt:DigitalSourceType="{}" xmp:CreatorTool="SDFlow"/>'
)
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
)
_END = b"</rdf:RDF>"
_EARLIER = re.compile(
    rb"\s*\b\w+:(?:DigitalSourceType|CreatorTool)\s*=\s*(?:\"[^\"]*\"|'[^']*')"
    rb"|<(\w+:(?:DigitalSourceType|CreatorTool))\b(?:[^>]*/>|.*?</\1\s*>)",
    re.DOTALL,
)
_XMP_BOX = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes  # of ISO media files


def source_of(face: Face) -> str:
    """Digital source type of a face's edits."""
    return GENERATED if face.crop is None else EDITED


def packet(source: str, kept: bytes | None = None) -> bytes:
    """An XMP packet that names the digital source type.

    Args:
        source: `EDITED` or `GENERATED`.
        kept: a photo's own packet, of which everything else stays, if it has the usual form.
    """
    marked = _PROPERTY.format(source)
    if kept and _END in kept:
        before, after = _EARLIER.sub(b"", kept).rsplit(_END, 1)
        return before + marked.encode() + _END + after
    return _PACKET.format(marked).encode()


def options(form: str, xmp: bytes) -> dict[str, object]:
    """Options for Pillow's writer of PNG, JPEG or WEBP that write a packet."""
    if form != "PNG":
        return {"xmp": xmp}
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return {"pnginfo": text}


def mp4_box(source: str) -> bytes:
    """The box that holds the packet, to go at the end of an MP4 file."""
    content = _XMP_BOX + packet(source)
    return (len(content) + 8).to_bytes(4, "big") + b"uuid" + content
