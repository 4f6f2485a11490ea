"""Pictures → MP4 or GIF, marked as edited.

PyAV carries the H.264 encoder; it is imported when a video is written.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from PIL import Image

from sdflow import marking

VIDEOS = (".mp4", ".gif")
COLOURS = 255  # of a GIF
SAMPLE = 64  # pixels of each picture from which a GIF's colours are chosen
NO_PICTURES = "There are no pictures to write. Give at least one."


def save_video(
    frames: Iterable[Image.Image],
    path: str | Path,
    fps: float = 25,
    source: str = marking.EDITED,
) -> int:
    """Write pictures as a video in the format that the suffix names; a GIF plays for ever.

    Args:
        frames: RGB pictures of one size, of even sides for MP4; taken as they are written.
        path: file name ending in .mp4 or .gif.
        fps: pictures a second, 1 to 60; a GIF can only count hundredths of a second.
        source: digital source type, see `sdflow.marking`.

    Returns:
        Number of bytes written.

    Raises:
        ValueError: another suffix, fps out of range, or no pictures.
    """
    path = Path(path)
    if not 1 <= fps <= 60:
        raise ValueError(f"Got {fps:g} pictures a second. Give 1 to 60.")
    match path.suffix.lower():
        case ".mp4":
            data = _mp4(frames, fps, source)
        case ".gif":
            data = _gif(frames, fps, source)
        case _:
            raise ValueError(f"Cannot write {path.name!r} as a video. Name a .mp4 or .gif file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(data)


def _mp4(frames: Iterable[Image.Image], fps: float, source: str) -> bytes:
    import av

    track = None
    # The index goes to the front, so that a browser starts to play before it has all; for that
    # the encoder reads its own file again.
    with tempfile.TemporaryDirectory(prefix="sdflow-") as folder:
        file = Path(folder) / "video.mp4"
        with av.open(str(file), "w", options={"movflags": "+faststart"}) as container:
            container.metadata["comment"] = marking.SENTENCE[source]
            for picture in frames:
                if track is None:
                    rate = Fraction(fps).limit_denominator(1000)
                    track = container.add_stream("libx264", rate, {"crf": "18"})
                    track.width, track.height = picture.size
                    track.pix_fmt = "yuv420p"  # what every browser plays
                container.mux(track.encode(av.VideoFrame.from_image(picture)))
            if track is not None:
                container.mux(track.encode())
        if track is None:
            raise ValueError(NO_PICTURES)
        return file.read_bytes() + marking.mp4_box(source)


def _gif(frames: Iterable[Image.Image], fps: float, source: str) -> bytes:
    pictures = list(frames)
    if not pictures:
        raise ValueError(NO_PICTURES)
    # One palette for all, of all; dithering would crawl from picture to picture.
    sample = Image.new("RGB", (SAMPLE * len(pictures), SAMPLE))
    for place, picture in enumerate(pictures):
        sample.paste(picture.resize((SAMPLE, SAMPLE)), (SAMPLE * place, 0))
    palette = sample.quantize(COLOURS)
    first, *others = (
        picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures
    )
    stream = io.BytesIO()
    first.save(
        stream, "GIF", save_all=True, append_images=others, loop=0,
        duration=max(2, round(100 / fps)) * 10, comment=marking.SENTENCE[source].encode(),
    )  # fmt: skip
    return stream.getvalue()
