"""The faces that evaluation edits: generated ones and real people, all kept out of training.

Both are codes and small pictures with the judges' verdicts on the unedited face. They are made
once for a run folder, whose name holds what they depend on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from torch import Tensor

from sdflow.evaluation.judges import judge
from sdflow.images import to_tensor
from sdflow.invert import invert
from sdflow.models import ModelSet
from sdflow.training.bank import unpack_jpegs

GENERATED, PEOPLE = "generated", "people"
SEED = 2**40  # none of the bank's
PSI = 0.7
BATCH = 8


@dataclass(frozen=True, eq=False)
class Face:
    """One unedited face: its code w (1, 18, 512) and the small picture of it (1, 3, 256, 256)."""

    w: Tensor
    picture: Tensor


@dataclass(frozen=True, eq=False)
class Population:
    """Faces that no training saw.

    Attributes:
        name: ``generated`` or ``people``.
        w: codes, (N, 18, 512).
        pictures: what the generator makes of them, (N, 3, 256, 256) uint8.
        verdicts: the judges' measures of these pictures at 512 px, (N,) or (N, D) each.
        photos: the judges' measures of the photos behind them; empty for generated faces.
    """

    name: str
    w: Tensor
    pictures: Tensor
    verdicts: dict[str, np.ndarray]
    photos: dict[str, np.ndarray]

    def face(self, row: int) -> Face:
        """One of the faces."""
        picture = self.pictures[row : row + 1].float() / 127.5 - 1
        return Face(self.w[row : row + 1], picture)


@torch.inference_mode()
def render(models: ModelSet, w: Tensor) -> Tensor:
    """Pictures (B, 3, 512, 512) of codes (B, 18, 512)."""
    return models.synthesis(w.to(models.device), 512).clamp(-1, 1).cpu()


def draw_codes(models: ModelSet, faces: int, seed: int = SEED, psi: float = PSI) -> Tensor:
    """One w for all layers of each face, (N, 18, 512)."""
    noise = np.random.default_rng(seed).standard_normal((faces, 512)).astype(np.float32)
    with torch.inference_mode():
        w = models.generator.mapping(torch.from_numpy(noise).to(models.device))
        return models.generator.truncate(w, psi).cpu()[:, None].repeat(1, 18, 1)


def part_path(folder: Path, name: str, rows: range) -> Path:
    """File of some of the faces."""
    return folder / f"{name}-{rows.start:04d}-{rows.stop:04d}.safetensors"


def make_part(
    models: ModelSet, name: str, rows: range, folder: Path, bank: Path, seed: int = SEED
) -> None:
    """Makes and judges some of the faces of a population, and writes them to the run folder.

    Args:
        models: generator, and for people the encoder and identity network.
        name: ``generated`` or ``people``.
        rows: which faces.
        folder: of the run.
        bank: folder with the ``real_held_out`` shards; generated faces need none.
        seed: of the generated faces.
    """
    photos = first_photos(bank, rows.stop)[rows.start :] if name == PEOPLE else []
    if name == PEOPLE:
        crops = [to_tensor(photo, 256).to(models.device) for photo in photos]
        w = torch.cat([invert(models, crop).cpu() for crop in crops])
    else:
        w = draw_codes(models, rows.stop, seed)[rows.start :]
    small, verdicts = [], []
    for codes in w.split(BATCH):
        images = render(models, codes)
        small.append(((F.avg_pool2d(images, 2) + 1) * 127.5).round().to(torch.uint8))
        verdicts.append(judge(images, identity=False))
    arrays = {"w": w.contiguous().numpy(), "pictures": torch.cat(small).numpy()}
    arrays |= {f"face:{key}": value for key, value in join(verdicts).items()}
    seen = [judge(to_tensor(photo), identity=False) for photo in photos]
    arrays |= {f"photo:{key}": value for key, value in join(seen).items()}
    path = part_path(folder, name, rows)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, temporary)
    os.replace(temporary, path)


def load_population(
    models: ModelSet, name: str, parts: list[range], folder: Path
) -> Population:
    """Reads the parts that `make_part` wrote.

    Raises:
        ValueError: the judges see a stored face otherwise than when it was stored.
    """
    stored = join([load_file(part_path(folder, name, part)) for part in parts])
    population = Population(
        name,
        torch.from_numpy(stored["w"]),
        torch.from_numpy(stored["pictures"]),
        {key[5:]: value for key, value in stored.items() if key.startswith("face:")},
        {key[6:]: value for key, value in stored.items() if key.startswith("photo:")},
    )
    _check_same_judges(models, population, folder)
    return population


def join(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of the same names, end to end; names that some lack are left out, since parts that
    were stored before a judge went still have its measure."""
    shared = [key for key in (rows[0] if rows else ()) if all(key in row for row in rows)]
    return {key: np.concatenate([row[key] for row in rows]) for key in shared}


def first_photos(bank: Path, people: int) -> list[Image.Image]:
    """The 512 px crop of each held-out person's first photo."""
    photos, seen = [], set()
    for path in sorted(bank.glob("real_held_out-*.safetensors")):
        with safe_open(path, "pt") as file:
            names = file.metadata()["photos"].split()
            shard = {key: file.get_tensor(key) for key in ("jpeg", "jpeg_end")}
        for name, picture in zip(names, unpack_jpegs(shard), strict=True):
            person = name.split("_")[0]
            if person not in seen and len(seen) < people:
                seen.add(person)
                photos.append(picture)
    return photos


def _check_same_judges(models: ModelSet, population: Population, folder: Path) -> None:
    """A run folder outlives changes of the judges: compare their view of the first face."""
    now = judge(render(models, population.w[:1]), identity=False)
    for key, value in now.items():
        stored = population.verdicts.get(key)
        if stored is None or not np.allclose(value, stored[:1], rtol=0.02, atol=0.02):
            raise ValueError(
                f"The judges see {key} otherwise than when {folder} was written. Remove it."
            )

