"""Options of the verbs of faces: their declaration, and what is wrong with them, told before work.

Nothing here imports a network: the parser and its help are to come at once.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sdflow.selection import PARTS, SETS, shipped_attributes, to_environment

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
PHOTOS = (
    ".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif", ".gif", ".tif", ".tiff", ".bmp",
    ".jp2", ".ppm", ".tga",
)  # fmt: skip
FACE_FILES = (".safetensors",)
RECIPES = (".json",)
VIDEOS = (".mp4", ".gif")  # VIDEOS of sdflow.video, which would load PyTorch
MASKS = (".png",)
QUICK, REFINED = 10, 60  # STEPS and REFINED of sdflow.invert, which would load PyTorch
LARGEST = 1000  # steps of refinement
Faces = tuple[int, ...] | None  # numbers of a photo's faces; None is all of them


@dataclass(frozen=True)
class Likeness:
    """How much work goes into the likeness of a face.

    Attributes:
        steps: of refinement, 0 for none; None is the default: 10 for a photo, 0 for a face file,
            and 60 with `tune`.
        tune: whether to change the generator for the face.

    Raises:
        ValueError: steps out of range.
    """

    steps: int | None = None
    tune: bool = False

    def __post_init__(self) -> None:
        if self.steps is not None and not 0 <= self.steps <= LARGEST:
            raise ValueError(f"Got {self.steps} steps. Give 0 to {LARGEST} with --refine.")

    def steps_for(self, is_face_file: bool) -> int:
        """Steps to take."""
        if self.steps is not None:
            return self.steps
        return REFINED if self.tune else 0 if is_face_file else QUICK


@dataclass(frozen=True)
class Pasting:
    """How an edited face goes back into its photo.

    Attributes:
        photo: the photo, where a face file is edited; None where the photo itself is.
        mask: where to save the mask of what was touched.
        plain: paste the whole crop with a feathered rim.
        keep_metadata: EXIF and XMP of the photo stay in the file.
    """

    photo: Path | None = None
    mask: Path | None = None
    plain: bool = False
    keep_metadata: bool = False


@dataclass(frozen=True)
class Kept:
    """What is saved beside a picture.

    Attributes:
        face: face file.
        recipe: recipe of the picture.
    """

    face: Path | None = None
    recipe: Path | None = None

    def check(self) -> None:
        """See `check_output`."""
        if self.face is not None:
            check_output(self.face, FACE_FILES)
        if self.recipe is not None:
            check_output(self.recipe, RECIPES)


NOTHING_KEPT = Kept()


# ---- which networks


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declares the options that `take_selection` reads."""
    group = parser.add_argument_group("models", "which networks run; default: SDFLOW_MODELS")
    group.add_argument("--models", choices=(*SETS, "auto"), help="a set; default: mobile")
    for part, names in PARTS.items():
        group.add_argument(f"--{part}", choices=names, help=f"another {part} than the set's")


def take_selection(arguments: Sequence[str]) -> list[str]:
    """Takes these options out of a command line, wherever they stand, and into the environment,
    where everything that depends on the networks looks, also in processes of our own.

    Raises:
        ValueError: a name that there is not.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_selection(parser)
    try:
        chosen, rest = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ValueError(f"{error}. Run the verb with --help to see what there is.") from error
    to_environment(vars(chosen))
    return rest


# ---- what they say


def read_strengths(texts: Sequence[str], mapping: str = "poles") -> dict[str, float]:
    """Strengths as the command line gives them, such as ["smiling=0.8,yaw=1", "young=-0.4"].

    Raises:
        BadStrength: not of this form, given twice, or no number that the mapping takes.
        UnknownAttribute: the models don't have it.
        WeightsError: the flow's file, which names them, is missing or damaged.
    """
    from sdflow.edit import BadStrength, parse_strengths

    if not texts:
        return {}
    names = tuple(row.name for row in shipped_attributes())
    strengths: dict[str, float] = {}
    for text in ",".join(texts).split(","):
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise BadStrength(f"Got the strength {text!r}. Write it as in -s smiling=0.8.")
        if name in strengths:
            raise BadStrength(f"The strength of {name} is given twice. Give it once.")
        try:
            number = float(value)
        except ValueError:
            number = value  # named in the error
        strengths |= parse_strengths({name: number}, names, mapping)
    return strengths


def read_faces(text: str) -> Faces:
    """Faces as the command line gives them: "1", "0,2" or "all".

    Raises:
        ArgumentTypeError: not of this form, or a face twice.
    """
    if text.strip() == "all":
        return None
    try:
        faces = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"got {text!r}: give a number, several as in 0,2, or all."
        ) from None
    if len(set(faces)) < len(faces):
        raise argparse.ArgumentTypeError(f"got {text!r}: name each face once.")
    return faces


def read_steps(text: str) -> int:
    """Steps as the command line gives them.

    Raises:
        ArgumentTypeError: no whole number; often the photo, which --refine took for it.
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of steps: name the photo before --refine, or give a number."
        ) from None


def check_output(path: Path, suffixes: Sequence[str]) -> None:
    """Tell before any work that a file could not be written.

    Raises:
        ValueError: unknown suffix, no such folder, no right to write there, or a folder itself.
    """
    if path.suffix.lower() not in suffixes:
        endings = ", ".join(suffixes)
        raise ValueError(f"Cannot write {str(path)!r}. End the name in one of: {endings}.")
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a folder. Name a file.")
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {str(path.parent)!r}. Make it, or name another.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"Writing {str(path)!r} is not allowed. Name another file.")


def check_apart(written: Sequence[Path | None], photo: Path | None = None) -> None:
    """Tell before any work that two files would be one, or the photo be written over.

    Raises:
        ValueError: so it is.
    """
    seen = {photo.resolve()} if photo is not None else set()
    for path in filter(None, written):
        if photo is not None and path.resolve() == photo.resolve():
            raise ValueError(f"{str(path)!r} is the photo itself. Name another file to write.")
        if path.resolve() in seen:
            raise ValueError(f"{str(path)!r} would be written twice. Name different files.")
        seen.add(path.resolve())


# ---- their declaration


def photo_options(parser: argparse.ArgumentParser, faces: str = "") -> None:
    """The photo, which of its faces, and the work on its likeness.

    Args:
        parser: of the verb.
        faces: why there may be several, for verbs that take them.
    """
    parser.usage = "%(prog)s PHOTO [options]"  # an option before PHOTO could take it for its own
    parser.add_argument(
        "photo", type=Path, metavar="PHOTO", help="an image, a face file or a recipe"
    )
    face_option(parser, faces)
    likeness_options(parser)


def photos_options(parser: argparse.ArgumentParser) -> None:
    """Several photos, which of their faces, and the work on their likeness."""
    parser.usage = "%(prog)s PHOTO [PHOTO …] [options]"
    parser.add_argument(
        "photos", type=Path, nargs="+", metavar="PHOTO", help="images, face files or recipes"
    )
    face_option(parser, "also several: 0,2 or all")
    likeness_options(parser)


def face_option(parser: argparse.ArgumentParser, several: str = "") -> None:
    """Which of a photo's faces."""
    if several:
        parser.add_argument(
            "--face", type=read_faces, default=(0,), metavar="N",
            help=f"which face; default 0, the largest; {several}",
        )  # fmt: skip
    else:
        parser.add_argument(
            "--face", type=int, default=0, metavar="N", help="which face; default 0, the largest"
        )


def likeness_options(parser: argparse.ArgumentParser, stops: bool = True) -> None:
    """The work on a face's likeness; `stops` tells that Ctrl-C ends it without loss."""
    parser.add_argument(
        "--refine", type=read_steps, nargs="?", const=REFINED, metavar="N",
        help=f"work on the likeness for N steps, 0 to {LARGEST}; {REFINED} if N is left out; "
        f"without it {QUICK}, a face file 0"
        + (". Ctrl-C goes on with the best so far" if stops else ""),
    )  # fmt: skip
    parser.add_argument(
        "--tune", action="store_true",
        help=f"then change the generator for this face; refines {REFINED} steps if not told",
    )  # fmt: skip


def picture_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Strengths, and where pictures and faces go."""
    strength_option(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help=f".png, .jpg or .webp; default {default}"
    )
    size_option(parser)
    parser.add_argument(
        "--save-face", type=Path, metavar="FILE", help="also save the face as .safetensors"
    )
    parser.add_argument(
        "--save-recipe", type=Path, metavar="FILE",
        help="also save face and settings as .json, from which `edit` makes this picture again",
    )  # fmt: skip


def strength_option(parser: argparse.ArgumentParser) -> None:
    """What is to change."""
    parser.add_argument(
        "-s", "--strength", action="append", default=[], metavar="NAME=VALUE",
        help="such as smiling=0.8, -1 to 1 (with --mapping original -3 to 1); may be repeated; the"
        " verb attributes lists the names",
    )  # fmt: skip


def size_option(parser: argparse.ArgumentParser, default: int = 1024) -> None:
    """The picture's size."""
    parser.add_argument(
        "--size", type=int, choices=(512, 1024), help=f"pixels of the face; default {default}"
    )


def detail_option(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Whether detail of the photo is carried over."""
    parser.add_argument(
        "--detail", action=argparse.BooleanOptionalAction,
        help=f"carry detail of the photo over that the generator cannot draw{more}",
    )  # fmt: skip


def paste_options(parser: argparse.ArgumentParser) -> None:
    """Detail of the photo, and the way back into it."""
    detail_option(parser, "; --paste always does")
    group = parser.add_argument_group("the whole photo")
    group.add_argument(
        "--paste", type=Path, nargs="?", const=Path(), metavar="PHOTO",
        help="put the edited face back into the photo, in its size, colours and format; "
        "a face file needs PHOTO, the one that it came from",
    )  # fmt: skip
    group.add_argument(
        "--mask", type=Path, metavar="FILE", help="also save the mask of what was touched, .png"
    )
    pasted_options(group)


def pasted_options(group: argparse._ArgumentGroup) -> None:
    """How a face is pasted, and what the photo's file keeps."""
    group.add_argument(
        "--plain", action="store_true", help="paste the whole crop with a feathered rim"
    )
    group.add_argument(
        "--keep-metadata", action="store_true",
        help="keep EXIF and XMP: place, time, camera; dropped otherwise",
    )  # fmt: skip


def read_pasting(args: argparse.Namespace) -> Pasting | None:
    """What `paste_options` were given; None without --paste.

    Raises:
        ValueError: an option that says nothing without --paste.
    """
    if args.paste is None:
        given = {"--mask": args.mask, "--plain": args.plain, "--keep-metadata": args.keep_metadata}
        for name, value in given.items():
            if value:
                raise ValueError(f"{name} needs --paste. Add it, or leave {name} out.")
        return None
    photo = None if args.paste == Path() else args.paste
    return Pasting(photo, args.mask, args.plain, args.keep_metadata)
