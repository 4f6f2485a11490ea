"""What is kept of a face between calls: Face, face files (small safetensors), the token store.

A face file survives restarts and travels between machines; it holds a face's codes, its semantics
and a small picture of its crop, never the whole photo.
"""

from __future__ import annotations

import io
import json
import math
import secrets
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sdflow.align import Alignment
from sdflow.images import BadImage, open_photo
from sdflow.small_files import first_bytes, has_suffix, read_small

FORMAT = "sdflow-face"
VERSION = 1
LARGEST_FILE = 1_300_000  # bytes
LARGEST_CROP = 200_000  # bytes of the encoded picture
LAYERS, WIDTH = 18, 512
LARGEST_TUNING = 1_000_000  # bytes of a face's changes to the generator
TUNED_BY = 50.0  # absolute value of one of them; real ones stay under 1
LARGEST_CODE = 1e3  # absolute value of an entry of w or z; real ones stay under 50
NEW_FILE = "Open the photo again and save a new face file."
READ_AGAIN = "This face file was made with other models: its attributes were read again."
UNTUNED = "Its tuning is for another generator and was left out."


class FaceFileError(ValueError):
    """A face file that cannot be used; the message is a sentence that ends in what to do."""


class UnknownFace(LookupError):
    """A token that the store does not hold (any more); the message ends in what to do."""


def _nothing_yet() -> np.ndarray:
    """z and c of a face that is not decomposed yet."""
    return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class Face:
    """One opened face: all that edits need, on the CPU.

    Attributes:
        w: latent code, (18, 512) float32.
        z: what the semantics leave of w, (18, 512) float32.
        c: semantics, (A,) float32, about 0..1.
        attributes: names of c's entries, in order.
        model_set: name of the models that made the codes.
        round_trip_error: largest absolute difference between w and what the flow makes of z, c.
        alignment: where the crop lies in the photo; None for a random face.
        crop: WebP of the aligned crop, at most 1024 px; None for a random face.
        seed: of a random face, else None.
        faces_found: in the photo; 0 for a random face.
        tuning: what the generator is changed by for this face, float16 arrays by name, see
            `sdflow.tuning`; None for the generator as it is.
        confidence: 0..1, how surely the inversion shows the person of the photo, see
            `sdflow.doubts`; None for a random face.
        warnings: sentences about what makes the photo difficult.
        seconds_per_step: how long each step of opening took; not kept in face files.
        notes: sentences on how it was opened, see `sdflow.gpu`; not kept in face files.
        version: of the face file's format.
    """

    w: np.ndarray
    z: np.ndarray = field(default_factory=_nothing_yet)
    c: np.ndarray = field(default_factory=_nothing_yet)
    attributes: tuple[str, ...] = ()
    model_set: str = ""
    round_trip_error: float = 0.0
    alignment: Alignment | None = None
    crop: bytes | None = None
    seed: int | None = None
    faces_found: int = 0
    tuning: Mapping[str, np.ndarray] | None = None
    confidence: float | None = None
    warnings: tuple[str, ...] = ()
    seconds_per_step: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def semantics(self) -> dict[str, float]:
        """Attribute name → value, about 0..1."""
        return dict(zip(self.attributes, self.c.tolist(), strict=True))

    @property
    def picture(self) -> Image.Image | None:
        """The aligned crop, RGB, to look at; None for a random face."""
        return None if self.crop is None else open_photo(self.crop)

    @property
    def nbytes(self) -> int:
        """About how much memory the face takes."""
        arrays = self.w.nbytes + self.z.nbytes + self.c.nbytes
        tuned = sum(array.nbytes for array in (self.tuning or {}).values())
        return arrays + tuned + len(self.crop or b"") + 1024


def check_models(face: Face, name: str, attributes: tuple[str, ...]) -> None:
    """Tells whether a face was made with the models of this name, which have these attributes.

    Raises:
        FaceFileError: it was not.
    """
    made, now = (face.model_set, *face.attributes), (name, *attributes)
    if made != now:
        raise FaceFileError(
            f"This face was made with the models and attributes {', '.join(made)}; loaded are "
            f"{', '.join(now)}. {NEW_FILE}"
        )


def encode_crop(crop: Image.Image) -> bytes:
    """The picture as WebP of at most `LARGEST_CROP` bytes, as good as that allows."""
    for quality, side in ((90, 1024), (80, 1024), (60, 1024), (30, 1024), (30, 512), (10, 512)):
        if crop.width > side:
            crop = crop.resize((side, side), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        crop.save(stream, "WEBP", quality=quality, method=2)
        if stream.tell() <= LARGEST_CROP:
            break
    return stream.getvalue()


# ---- face files


def is_face_file(source: object) -> bool:
    """Whether a path or bytes are a safetensors file rather than a photo."""
    return has_suffix(source, ".safetensors") or first_bytes(source)[5:9] == b"\0\0\0{"


def face_to_bytes(face: Face) -> bytes:
    """A face as the bytes of a face file, at most `LARGEST_FILE`."""
    notes: dict[str, Any] = {
        "attributes": face.attributes,
        "model_set": face.model_set,
        "round_trip_error": face.round_trip_error,
        "seed": face.seed,
        "faces_found": face.faces_found,
        "confidence": face.confidence,
        "warnings": face.warnings,
    }
    tensors = {"w": face.w, "z": face.z, "c": face.c}
    tensors |= {f"tuning.{name}": array for name, array in (face.tuning or {}).items()}
    if face.alignment is not None:
        notes |= {"crop_size": face.alignment.size, "photo_size": face.alignment.photo_size}
        tensors["quad"] = face.alignment.quad.astype(np.float64)
    if face.crop is not None:
        tensors["crop"] = np.frombuffer(face.crop, dtype=np.uint8)
    metadata = {"format": FORMAT, "version": str(VERSION), "face": json.dumps(notes)}
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, metadata)


def save_face(face: Face, path: str | Path) -> int:
    """Write a face file, making the folder if there is none; returns the bytes written.

    Raises:
        ValueError: the name does not end in .safetensors.
        OSError: the file cannot be written.
    """
    path = Path(path)
    check_face_path(path)
    data = face_to_bytes(face)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(data)


def check_face_path(path: Path) -> None:
    """Raises a ValueError unless the name ends in .safetensors."""
    if path.suffix.lower() != ".safetensors":
        raise ValueError(f"A face file cannot be named {path.name!r}. End it in .safetensors.")


def load_face(source: str | Path | bytes) -> Face:
    """Read a face file, trusting nothing in it.

    Args:
        source: its path or its bytes.

    Raises:
        FaceFileError: no such file, another kind of file, a newer version, or a damaged one.
    """
    data = read_small(source, LARGEST_FILE, "face file", FaceFileError)
    if len(data) > LARGEST_FILE:
        raise FaceFileError(f"A file over {LARGEST_FILE:,} bytes is no face file. {NEW_FILE}")
    metadata, tensors = _parse(data)
    if metadata.get("format") != FORMAT:
        raise FaceFileError("This safetensors file holds no face. Choose one that SDFlow saved.")
    if metadata.get("version") != str(VERSION):
        raise FaceFileError(
            f"This face file has version {metadata.get('version')!r:.20}, this program reads "
            f"{VERSION}. {NEW_FILE}"
        )
    try:
        return _to_face(json.loads(metadata["face"]), tensors)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FaceFileError(f"This face file is damaged ({_short(error)}). {NEW_FILE}") from error


def _parse(data: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Metadata and tensors of safetensors bytes, whose own loader checks all offsets."""
    try:
        tensors = load(data)
        (length,) = struct.unpack_from("<Q", data)
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except (SafetensorError, KeyError, ValueError, TypeError, struct.error) as error:
        raise FaceFileError(f"This is no face file, or a damaged one. {NEW_FILE}") from error
    return metadata, tensors


def _to_face(notes: dict[str, Any], tensors: dict[str, np.ndarray]) -> Face:
    """Builds a face from a file's content; what is off raises a ValueError or its like."""
    attributes, count, seed = tuple(notes["attributes"]), notes["faces_found"], notes["seed"]
    error = float(notes["round_trip_error"])
    texts = (*attributes, notes["model_set"])
    if not all(isinstance(text, str) and 0 < len(text) < 100 for text in texts):
        raise ValueError("its names are no names")
    numbers = (count, 0 if seed is None else seed)
    if not all(isinstance(n, int) and 0 <= n < 2**63 for n in numbers) or not math.isfinite(error):
        raise ValueError("its numbers are out of range")
    alignment = crop = None
    if "quad" in tensors:
        quad = _checked(tensors, "quad", (4, 2), np.float64, 1e7)
        width, height = (int(side) for side in notes["photo_size"])
        alignment = Alignment(quad, int(notes["crop_size"]), (width, height))
        if not 0 < alignment.size <= 8192 or min(width, height) < 1:
            raise ValueError("its sizes are out of range")
    sure, told = notes.get("confidence"), notes.get("warnings", [])
    if sure is not None and not (type(sure) in (int, float) and 0 <= sure <= 1):
        raise ValueError("its confidence is out of range")
    sentences = isinstance(told, list) and len(told) <= 20
    if not sentences or not all(isinstance(text, str) and len(text) < 500 for text in told):
        raise ValueError("its warnings are no sentences")
    if "crop" in tensors:
        crop = _checked(tensors, "crop", (None,), np.uint8, 255).tobytes()
        picture = open_photo(crop)
        if picture.width != picture.height or picture.width > 1024:
            raise ValueError(f"its picture has {picture.width} x {picture.height} pixels")
    return Face(
        w=_checked(tensors, "w", (LAYERS, WIDTH), np.float32, LARGEST_CODE),
        z=_checked(tensors, "z", (LAYERS, WIDTH), np.float32, LARGEST_CODE),
        c=_checked(tensors, "c", (len(attributes),), np.float32, 2),
        attributes=attributes,
        model_set=notes["model_set"],
        round_trip_error=error,
        alignment=alignment,
        crop=crop,
        seed=seed,
        faces_found=count,
        tuning=_tuning(tensors),
        confidence=sure,
        warnings=tuple(told),
    )


def _tuning(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """The tuning in a file, None if it has none; whether it fits, the models say."""
    names = [name for name in tensors if name.startswith("tuning.")]
    if sum(tensors[name].nbytes for name in names) > LARGEST_TUNING:
        raise ValueError("its tuning is too large")
    found = {
        name.removeprefix("tuning."): _checked(
            tensors, name, (None,) * tensors[name].ndim, np.float16, TUNED_BY
        )
        for name in names
    }
    return found or None


def _checked(
    tensors: dict[str, np.ndarray],
    name: str,
    shape: tuple[int | None, ...],
    dtype: type[np.generic],
    bound: float,
) -> np.ndarray:
    array = tensors[name]
    fits = array.ndim == len(shape) and all(
        wanted in (None, side) for wanted, side in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype} {array.shape}")
    if not array.size or not np.abs(array).max() <= bound:  # nan fails the comparison
        raise ValueError(f"{name} holds values out of range")
    return array


def _short(error: Exception) -> str:
    if isinstance(error, BadImage):
        return "its picture cannot be read"
    missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return missing.splitlines()[0][:100] if missing else "it cannot be read"


# ---- the token store


@dataclass
class _Kept:
    face: Face
    used: float  # when, by the store's clock


class FaceStore:
    """Faces by unguessable token, for one process; the longest unused go first.

    Args:
        seconds: a face unused for so long is forgotten.
        largest_bytes: of all faces together.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        seconds: float = 7200,
        largest_bytes: int = 200_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self.largest_bytes = largest_bytes
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # longest unused first
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, face: Face) -> str:
        """Keep a face; returns its token."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._kept[token] = _Kept(face, self._clock())
            self._bytes += face.nbytes
            self._forget_old()
            while self._bytes > self.largest_bytes and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))
        return token

    def get(self, token: str) -> Face:
        """The face of a token, which now counts as used.

        Raises:
            UnknownFace: never given out, forgotten, or of another process.
        """
        with self._lock:
            self._forget_old()
            kept = self._kept.get(token) if isinstance(token, str) else None
            if kept is None:
                raise UnknownFace(
                    "This face is not kept any more. Open the photo again, or its face file."
                )
            kept.used = self._clock()
            self._kept.move_to_end(token)
            return kept.face

    def discard(self, token: str) -> None:
        """Forget a face; a token that is not kept is no error."""
        with self._lock:
            if token in self._kept:
                self._drop(token)

    def __len__(self) -> int:
        with self._lock:
            self._forget_old()
            return len(self._kept)

    def _forget_old(self) -> None:
        oldest = self._clock() - self.seconds
        while self._kept and next(iter(self._kept.values())).used < oldest:
            self._drop(next(iter(self._kept)))

    def _drop(self, token: str) -> None:
        self._bytes -= self._kept.pop(token).face.nbytes
