"""The bank: faces with known codes, as sharded safetensors with a parquet index.

Each generated shard holds ``w`` (N, 18, 512) float32, ``image`` (N, 3, 256, 256) uint8 and a
512 px JPEG of each face (``jpeg`` bytes end to end, ``jpeg_end`` the ends) for the teachers.
Half of the codes are one w for all layers with truncation spread over psi 0.5 to 1; the others mix
two or three codes over the layers (W+), as inverted photos do. A shard depends on (seed, number)
and, where its codes come of earlier labels, on these; it is written whole or not at all, so a
killed run goes on where it stopped, and several processes may share the work.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from sdflow.align import NoFaceFound, crop_face, find_faces
from sdflow.images import open_photo, to_image, to_tensor
from sdflow.training.progress import Progress

SHARD = 200  # faces in one shard
HELD_OUT = 20  # every so-many-th generated shard is kept out of training
WITH_CODES = ("generated", "balanced", "edited")  # kinds of faces whose codes are known

Sampler = Callable[[np.random.Generator, int], torch.Tensor]


def sample_codes(
    generator: torch.nn.Module, rng: np.random.Generator | int, n: int
) -> torch.Tensor:
    """Draws n codes (n, 18, 512): W and mixed W+, each at its own truncation."""
    rng = np.random.default_rng(rng)
    z = rng.standard_normal((3 * n, 512)).astype(np.float32)
    device = generator.w_mean.device
    w = generator.mapping(torch.from_numpy(z).to(device)).cpu().reshape(n, 3, 512)
    psi = torch.from_numpy(rng.uniform(0.5, 1.0, (n, 3, 1)).astype(np.float32))
    mean = generator.w_mean.cpu()
    w = mean + psi * (w - mean)
    kind = rng.random(n)
    source = np.zeros((n, 18), dtype=np.int64)  # which of the three codes each layer takes
    for i in range(n):
        if kind[i] > 0.75:  # three pieces
            first, second = np.sort(rng.integers(2, 16, 2))
            source[i, first:], source[i, second:] = 1, 2
        elif kind[i] > 0.5:  # two pieces
            source[i, rng.integers(2, 14) :] = 1
    return w[torch.arange(n)[:, None], torch.from_numpy(source)]  # (n, 18, 512)


def shard_path(folder: Path, kind: str, number: int) -> Path:
    """Path of one shard; kind is one of `WITH_CODES` or ``real``."""
    return folder / f"{kind}-{number:05d}.safetensors"


def write_whole(tensors: dict[str, torch.Tensor], path: Path, notes: dict[str, str]) -> None:
    """Writes a safetensors file under another name first, so that a killed run leaves no half."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file(tensors, temporary, notes)
    os.replace(temporary, path)


def pack_jpegs(images: list[Image.Image]) -> dict[str, torch.Tensor]:
    """JPEG bytes of many pictures end to end, and where each ends."""
    pieces = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=95, subsampling=0)
        pieces.append(buffer.getvalue())
    ends = np.cumsum([len(piece) for piece in pieces])
    data = np.frombuffer(b"".join(pieces), dtype=np.uint8).copy()
    return {"jpeg": torch.from_numpy(data), "jpeg_end": torch.from_numpy(ends)}


def unpack_jpegs(shard: dict[str, torch.Tensor]) -> Iterator[Image.Image]:
    """The 512 px pictures of a shard, in order."""
    data, start = shard["jpeg"].numpy(), 0
    for end in shard["jpeg_end"].tolist():
        yield Image.open(io.BytesIO(data[start:end].tobytes())).convert("RGB")
        start = end


def render_shards(
    folder: Path,
    synthesis: Callable[[torch.Tensor, int], torch.Tensor],
    sample: Sampler,
    faces: int,
    seed: int = 0,
    kind: str = "generated",
    worker: int = 0,
    workers: int = 1,
) -> None:
    """Renders the missing shards of ``faces`` faces; worker i of n takes every n-th shard.

    Args:
        folder: where the shards lie.
        synthesis: (w, size) → image, the fast path.
        sample: (rng, n) → codes (n, 18, 512).
        faces: size of the whole bank of this kind.
        seed: of the codes.
        kind: first part of the shards' names.
        worker: which of the processes this is.
        workers: how many processes share the work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(worker, -(-faces // SHARD), workers)
    missing = [n for n in numbers if not shard_path(folder, kind, n).exists()]
    progress = Progress(f"{kind} faces", len(missing) * SHARD)
    for number in missing:
        w = sample(np.random.default_rng((seed, number)), SHARD)
        pictures, small = [], []
        for code in w:
            image = synthesis(code[None], 512).clamp(-1, 1)  # (1, 3, 512, 512)
            pictures.append(to_image(image))
            half = torch.nn.functional.avg_pool2d(image, 2)  # (1, 3, 256, 256)
            small.append(((half + 1) * 127.5).round().to(torch.uint8))
            progress.advance()
        tensors = {"w": w.contiguous(), "image": torch.cat(small), **pack_jpegs(pictures)}
        write_whole(tensors, shard_path(folder, kind, number), {"seed": str(seed), "kind": kind})


def align_shards(folder: Path, photos: list[Path], held_out: set[str]) -> None:
    """Aligns real photos into ``real`` shards, held-out people into ``real_held_out`` shards.

    A photo in which no face is found is left out. Each shard holds ``image`` and the JPEGs, its
    metadata the photos' names; it has no ``w``.

    Args:
        folder: where the shards lie.
        photos: files named ``pPPPP_N.jpg``, PPPP one person (``lfw-dev``).
        held_out: the people, as ``pPPPP``, who are kept out of all training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups = {
        "real": [p for p in photos if p.stem[:5] not in held_out],
        "real_held_out": [p for p in photos if p.stem[:5] in held_out],
    }
    for kind, group in groups.items():
        group = sorted(group)
        progress = Progress(f"{kind} photos", len(group))
        for number, start in enumerate(range(0, len(group), SHARD)):
            path = shard_path(folder, kind, number)
            if not path.exists():
                names, crops = [], []
                for photo_path in group[start : start + SHARD]:
                    photo = open_photo(photo_path)
                    with suppress(NoFaceFound):
                        crop, _ = crop_face(photo, find_faces(photo)[0].landmarks, 512)
                        names.append(photo_path.stem)
                        crops.append(crop)
                small = torch.cat([to_tensor(crop, 256) for crop in crops])
                image = ((small + 1) * 127.5).round().to(torch.uint8)
                tensors = {"image": image, **pack_jpegs(crops)}
                write_whole(tensors, path, {"photos": " ".join(names)})
            progress.advance(len(group[start : start + SHARD]))


def held_out_people(photos: list[Path], people: int = 200, seed: int = 0) -> set[str]:
    """The people of ``lfw-dev`` who are kept out of all training."""
    known = sorted({p.stem[:5] for p in photos})
    return set(np.random.default_rng(seed).permutation(known)[:people].tolist())


def shards(folder: Path, kind: str, held_out: bool = False) -> list[Path]:
    """The finished shards of a kind that belong to training, or the ones kept out of it."""
    found = sorted(folder.glob(f"{kind}-*.safetensors"))
    return [p for p in found if (int(p.stem[-5:]) % HELD_OUT == HELD_OUT - 1) == held_out]


def read_arrays(paths: list[Path], names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Concatenates the named arrays of many shards."""
    loaded = [load_file(path) for path in paths]
    return {name: torch.cat([shard[name] for shard in loaded]) for name in names}
