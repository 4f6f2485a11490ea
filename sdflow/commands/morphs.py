"""The verb that makes a video: a face from the original through a list of edits."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdflow.commands import Report, Verb
from sdflow.commands.opening import (
    check_likeness,
    load_editor,
    open_faces,
    read_source,
    renderer,
)
from sdflow.commands.options import (
    VIDEOS,
    Likeness,
    check_apart,
    check_output,
    detail_option,
    photo_options,
    read_strengths,
    size_option,
)
from sdflow.commands.progress import Bar
from sdflow.commands.reports import (
    add_output,
    add_seconds,
    opened_report,
    settings_report,
    show_faces,
    source_of,
)

if TYPE_CHECKING:
    from PIL import Image

    from sdflow.media import Render

QUICK_LIKENESS = Likeness()
MOST_FRAMES = 900  # all are held for a GIF, and for the way back


def morph_photo(
    photo: Path,
    stops: Sequence[str] = (),
    output: Path = Path("morph.mp4"),
    seconds: float = 4.0,
    fps: float = 25.0,
    size: int = 512,
    back: bool = False,
    face: int = 0,
    likeness: Likeness = QUICK_LIKENESS,
    detail: bool = False,
) -> Report:
    """Save a video of a face on its way from the original through edits.

    Args:
        photo: an image, a face file or a recipe.
        stops: edits to come to, such as "young=1,smiling=-0.5"; without any, that of the recipe.
        output: .mp4 or .gif.
        seconds: in all.
        fps: pictures a second, 1 to 60.
        size: 512 or 1024 pixels.
        back: return the same way.
        face: which of the photo's faces, 0 the largest.
        likeness: work on it.
        detail: carry the photo's detail over, which takes longer than all the rest.

    Raises:
        ValueError, OSError, WeightsError: as for `faces.edit_photo`.
    """
    edits = [read_strengths([text]) for text in stops]
    if not 1 <= fps <= 60:
        raise ValueError(f"Got {fps:g} pictures a second. Give 1 to 60 with --fps.")
    check_output(output, VIDEOS)
    source = read_source(photo)
    check_likeness(source, (face,), likeness)
    check_apart((output,), source.photo())
    if source.recipe is not None and not edits:
        if source.recipe.mapping != "poles":
            raise ValueError(
                "This recipe edits as the original does. Say what the face is to become, as in"
                " --to young=1."
            )
        edits = [source.recipe.strengths]
    if not edits:
        raise ValueError("Say what the face is to become, as in --to smiling=1.")
    wanted = round(seconds * fps) if 0 < seconds * fps < 1e6 else 0
    legs = len(edits) * (2 if back else 1)
    if not legs < wanted <= MOST_FRAMES:
        raise ValueError(
            f"{seconds:g} seconds at {fps:g} a second are not {legs + 1} to {MOST_FRAMES} "
            "pictures. Give others with --seconds and --fps."
        )
    editor, load = load_editor({name: 0.0 for edit in edits for name in edit})
    from sdflow import video

    (opened,) = open_faces(editor, source, (face,), likeness)
    report = settings_report(source, (face,), likeness) | opened_report([opened], load)
    start = time.perf_counter()
    frames = wanted // 2 + 1 if back else wanted
    bar = Bar("morph", frames)
    render = bar.counting(renderer(editor, opened.face, size, detail, report))
    written = video.save_video(
        pictures(render, [{}, *edits], frames, back), output, fps, source_of(opened.face)
    )
    add_seconds(report["seconds_per_step"], {"morph": time.perf_counter() - start})
    report |= {"stops": edits, "pictures": 2 * frames - 1 if back else frames, "fps": fps}
    report |= {"back": back, "detail": detail, "before": editor.read(opened.face)}
    add_output(report, output, (size, size), written, time.perf_counter())
    return report


def pictures(
    render: Render, stops: Sequence[dict[str, float]], frames: int, back: bool
) -> Iterator[Image.Image]:
    """The pictures of the way, and with `back` those but the last once more, in reverse."""
    from sdflow.morph import morph

    seen = []
    for picture in morph(render, stops, frames):
        yield picture
        if back:
            seen.append(picture)
    yield from reversed(seen[:-1])


# ---- options


def _morph_options(parser: argparse.ArgumentParser) -> None:
    photo_options(parser)
    parser.add_argument(
        "--to", action="append", default=[], metavar="EDIT",
        help="what the face becomes, such as young=1,smiling=-0.5; repeated, one after the other",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("morph.mp4"), metavar="FILE",
        help=".mp4 or .gif; default morph.mp4",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=4.0, metavar="S", help="in all; default 4"
    )
    parser.add_argument(
        "--fps", type=float, default=25.0, metavar="N", help="pictures a second; default 25"
    )
    size_option(parser, 512)
    parser.add_argument("--back", action="store_true", help="return the same way")
    detail_option(parser)


def _morph(args: argparse.Namespace) -> Report:
    likeness = Likeness(args.refine, args.tune)
    return morph_photo(
        args.photo, args.to, args.output, args.seconds, args.fps, args.size or 512, args.back,
        args.face, likeness, bool(args.detail),
    )  # fmt: skip


VERBS = (
    Verb(
        "morph",
        "a video from a face to its edits",
        _morph_options,
        _morph,
        show_faces,
        (
            "morph photo.jpg --to smiling=1 -o smile.mp4",
            "morph photo.jpg --to smiling=1 --to young=1,smiling=-0.5 --back -o loop.gif --fps 15",
            "morph recipe.json --size 1024                     # to the edit of the recipe",
        ),
    ),
)
