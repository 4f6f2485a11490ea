"""Results of many pictures: morphs as videos, sweeps as contact sheets.

Every picture waits for its turn with the models, so that a long job lets previews in between, and
is a step of the job: what is handed in as `on_step` is told after each, and True ends the job with
`Abandoned`. `work.Work` and `work.finish` hand in just that.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from sdflow import images
from sdflow.edit import ORIGINAL, POLES, parse_strengths
from sdflow.marking import source_of
from sdflow.media import Render, grid_sheet, sweep_sheet
from sdflow.morph import morph
from sdflow.page.checks import within
from sdflow.page.pictures import FORMATS, FULL, FULL_QUALITY, PREVIEW
from sdflow.page.scales import Strengths, edit_of, mapping_of
from sdflow.page.work import Abandoned
from sdflow.video import VIDEOS, save_video

if TYPE_CHECKING:
    from sdflow.faces import Face
    from sdflow.page.service import Service

MOST_FRAMES = 250  # of a morph; as many pictures of a GIF lie in memory until it is written
MOST_STOPS = 20
FPS = (5.0, 50.0)  # pictures a second
COLUMNS = (2, 11)  # strengths of a sweep
MOST_PEOPLE = 12  # of a comparison
MIXED = (
    "A morph passes edits of one kind. Clear the list, and add edits with the same choice above"
    " the sliders."
)


@dataclass(frozen=True)
class Progress:
    """How far a job is: pictures made, of so many."""

    done: int
    steps: int


OnProgress = Callable[[Progress], bool | None]  # told after each picture; True ends the job


def morph_file(
    service: Service,
    face: Face,
    stops: Sequence[Strengths],
    seconds: float = 4,
    fps: float = 25,
    size: int = PREVIEW,
    suffix: str = ".mp4",
    owner: str | None = None,
    on_step: OnProgress | None = None,
) -> Path:
    """Writes a video of a face on its way through a list of edits.

    Args:
        service: renders.
        face: that is edited.
        stops: strengths to pass, 2 to 20, or `Scales`; {} is the face as it is.
        seconds: how long the video is.
        fps: pictures a second, 5 to 50; no more than 250 pictures in all.
        size: of the pictures, 512 or 1024 pixels; a GIF is 512.
        suffix: .mp4 or .gif.
        owner: the face's token, if it is kept.
        on_step: told after each picture.

    Raises:
        ValueError: an argument is out of range; nothing was rendered then.
        Abandoned: `on_step` has ended it.
    """
    frames = check_morph(service, stops, seconds, fps, size, suffix)
    stops, mapping = one_mapping(stops)
    picture = service.renderer(face, size)
    render = remembered(lambda strengths: picture(edit_of(strengths, mapping)))
    render = counted(render, frames, on_step)
    file = service.files.new(f"sdflow-morph{suffix}", owner)
    save_video(morph(render, stops, frames), file, fps, source_of(face))
    return file


def check_morph(
    service: Service,
    stops: Sequence[Strengths],
    seconds: float,
    fps: float,
    size: int,
    suffix: str,
) -> int:
    """The number of pictures of a morph; errors as for `morph_file`."""
    if not isinstance(stops, Sequence) or isinstance(stops, str):
        raise ValueError('The stops are no list. Give a list such as [{}, {"smiling": 1}].')
    if not 2 <= len(stops) <= MOST_STOPS:
        raise ValueError(f"Got {len(stops)} stops of a morph. Give 2 to {MOST_STOPS}.")
    names = [row.name for row in service.attributes]
    for stop in stops:
        parse_strengths(stop, names, mapping_of(stop))
    one_mapping(stops)
    if suffix not in VIDEOS:
        raise ValueError(f"Got the format {suffix!r:.20}. Choose {' or '.join(VIDEOS)}.")
    sizes = (PREVIEW,) if suffix == ".gif" else (PREVIEW, FULL)
    if size not in sizes:
        allowed = " or ".join(map(str, sizes))
        raise ValueError(f"Got size {size!r:.20}. Give {allowed} for {suffix}.")
    fps = within(fps, *FPS, "pictures a second")
    longest = MOST_FRAMES / fps
    seconds = within(seconds, len(stops) / fps, longest, f"seconds at {fps:g} pictures a second")
    return max(round(seconds * fps), len(stops))


def one_mapping(stops: Sequence[Strengths]) -> tuple[Sequence[Strengths], str]:
    """Stops between which numbers can go, and how `Editor.edit` is to take them.

    Raises:
        ValueError: some are strengths and some are scales.
    """
    if len(mappings := {mapping_of(stop) for stop in stops if stop}) > 1:
        raise ValueError(MIXED)
    if ORIGINAL not in mappings:
        return stops, POLES
    # Scales begin at what the classifier sees: there is nothing between that and no edit at all.
    start = dict.fromkeys((name for stop in stops for name in stop), -1.0)
    return [start | stop for stop in stops], ORIGINAL


def sweep_file(
    service: Service,
    face: Face,
    across: Sequence[str],
    down: str | None = None,
    columns: int = 5,
    suffix: str = ".jpg",
    owner: str | None = None,
    on_step: OnProgress | None = None,
) -> Path:
    """Writes a contact sheet of one face at strengths from -1 to 1.

    Args:
        service: renders.
        face: that is edited.
        across: attributes, a row each; one alone if there is `down`.
        down: attribute that the rows of a grid move, against the columns.
        columns: strengths of each row, 2 to 11.
        suffix: one of `FORMATS`.
        owner: the face's token, if it is kept.
        on_step: told after each picture.

    Raises:
        ValueError: an argument is out of range; nothing was rendered then.
        Abandoned: `on_step` has ended it.
    """
    strengths = check_sweep(service, across, down, columns, suffix)
    unmoved = 0.0 in strengths
    if down:
        render = counted(service.renderer(face), columns**2, on_step)
        sheet = grid_sheet(render, across[0], down, strengths, face.picture)
    else:
        pictures = 1 + len(across) * (columns - unmoved)
        render = counted(service.renderer(face), pictures, on_step)
        semantics = service.editor.read(face)
        sheet = sweep_sheet(render, across, strengths, face.picture, semantics)
    return sheet_file(service, sheet, "sdflow-sweep", suffix, source_of(face), owner)


def check_sweep(
    service: Service, across: Sequence[str], down: str | None, columns: int, suffix: str
) -> list[float]:
    """The strengths of a sweep; errors as for `sweep_file`."""
    parse_strengths(
        dict.fromkeys([*across, *[down] * bool(down)], 0.0),
        [row.name for row in service.attributes],
    )
    if not across or (down and len(across) > 1) or down in across:
        raise ValueError("A grid takes two different attributes. Choose one across and one down.")
    check_format(suffix)
    return even(columns)


def sheet_file(
    service: Service, sheet: Image.Image, name: str, suffix: str, source: str, owner: str | None
) -> Path:
    """Writes a contact sheet, marked with its digital source type."""
    file = service.files.new(name + suffix, owner)
    images.save(sheet, file, FULL_QUALITY, source)
    return file


def counted(render: Render, steps: int, on_step: OnProgress | None) -> Render:
    """A renderer whose every picture is a step of a job.

    Args:
        render: makes the pictures.
        steps: pictures in all.
        on_step: told after each; True ends the job with `Abandoned`.
    """
    done = 0

    def counting(strengths: Strengths) -> Image.Image:
        nonlocal done
        picture = render(strengths)
        done += 1
        if on_step and on_step(Progress(done, steps)):
            raise Abandoned
        return picture

    return counting


def even(columns: int) -> list[float]:
    """So many strengths from -1 to 1, evenly; the middle one of an odd number is exactly 0.

    Raises:
        ValueError: not a whole number, or out of range.
    """
    within(columns, *COLUMNS, "steps", whole=True)
    last = int(columns) - 1
    return [(2 * i - last) / last for i in range(last + 1)]


def check_format(suffix: str) -> None:
    """Raises a ValueError for the name of a format in which pictures cannot be taken along."""
    if suffix not in FORMATS:
        raise ValueError(f"Got the format {suffix!r:.20}. Choose {', '.join(FORMATS)}.")


def remembered(render: Render) -> Render:
    """A renderer that makes no picture twice, such as those of the way back.

    They are kept as JPEG, in a tenth of their memory; a video loses more than that.
    """
    kept: dict[tuple, bytes] = {}

    def remembering(strengths: Strengths) -> Image.Image:
        # there and back differ in the last digits
        rounded = {name: round(strength, 6) for name, strength in strengths.items()}
        key = tuple(sorted((name, strength) for name, strength in rounded.items() if strength))
        if key in kept:
            return Image.open(io.BytesIO(kept[key])).convert("RGB")
        picture, stream = render(strengths), io.BytesIO()
        picture.save(stream, "JPEG", quality=FULL_QUALITY, subsampling=0)
        kept[key] = stream.getvalue()
        return picture

    return remembering
