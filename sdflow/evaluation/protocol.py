"""The protocol: which faces are edited how, and the store of what the judges saw.

Each attribute is flipped on faces of both sides, towards the other side, at eight strengths up to
1; strength 0 is the unedited verdict. One parquet file holds one attribute of one method on one
population. Its name has a hash of the method and of the faces, so a run with other settings
reuses whatever did not change.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F

from sdflow.evaluation.judges import distance, judge, positive
from sdflow.evaluation.methods import Method
from sdflow.evaluation.populations import Population, render
from sdflow.models import ModelSet

TARGETS = ("eyeglasses", "gender", "young", "smiling")  # of the published comparisons
STRENGTHS = tuple(np.linspace(0, 1, 9).tolist())
IDENTITY, PHOTO = "identity", "photo_identity"  # distances to the unedited face and to the photo
READ = "read:"  # prefix of what the program's own estimator reads


@dataclass(frozen=True)
class Task:
    """One attribute of one method on one population: the rows to edit, and each row's sign."""

    population: str
    method: str
    attribute: str
    rows: tuple[int, ...]
    signs: tuple[int, ...]

    def edits(self) -> int:
        """How many pictures it has to render."""
        return len(self.rows) * (len(STRENGTHS) - 1)

    def path(self, folder: Path, key: str) -> Path:
        """Where its verdicts lie; key is the method's."""
        what = f"{key} {self.rows} {self.signs} {STRENGTHS}"
        digest = hashlib.sha256(what.encode()).hexdigest()[:10]
        return folder / f"{self.population}-{self.method}-{self.attribute}-{digest}.parquet"


@dataclass(frozen=True, eq=False)
class Sweep:
    """A finished task: F faces at S strengths, the first of them 0.

    Attributes:
        rows: of the population, (F,).
        signs: towards which side, (F,).
        measures: by name, (F, S): the judges', ``identity``, ``photo_identity``, ``read:...``.
    """

    rows: np.ndarray
    signs: np.ndarray
    measures: dict[str, np.ndarray]

    def sides(self, attribute: str) -> np.ndarray:
        """Whether the judges put each picture on the attribute's positive side, (F, S)."""
        shape = len(self.rows), len(STRENGTHS)
        flat = {name: values.ravel() for name, values in self.measures.items()}
        return np.asarray(positive(flat, attribute)).reshape(shape)


def choose_faces(
    verdicts: Mapping[str, np.ndarray], attribute: str, most: int, seed: int = 0
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Faces to flip, half of them from each side as far as there are; the same for all methods.

    Args:
        verdicts: of a population's unedited faces, (N,) each.
        attribute: to flip.
        most: how many faces.
        seed: of the choice.

    Returns:
        rows, and the sign towards which each is moved.
    """
    side = np.asarray(positive(verdicts, attribute))
    order = np.random.default_rng((seed, zlib.crc32(attribute.encode()))).permutation(len(side))
    with_it, without = order[side[order]], order[~side[order]]
    down = with_it[: max(most // 2, most - len(without))]
    up = without[: most - len(down)]
    rows = np.concatenate([down, up])
    return tuple(rows.tolist()), (-1,) * len(down) + (1,) * len(up)


@torch.inference_mode()
def run_task(
    models: ModelSet, method: Method, population: Population, task: Task, folder: Path
) -> None:
    """Edits, renders, judges, and writes the task's file whole or not at all."""
    columns: dict[str, list[np.ndarray]] = {}
    strengths = STRENGTHS[1:]
    for row, sign in zip(task.rows, task.signs, strict=True):
        moved = [{task.attribute: sign * strength} for strength in strengths]
        images = render(models, method.edit(population.face(row), moved))
        verdict = judge(images, identity=False)
        here = {"row": np.full(len(moved), row), "sign": np.full(len(moved), sign),
                "strength": np.array(strengths)}  # fmt: skip
        here |= measures_of(verdict, population, np.full(len(moved), row))
        c = models.estimator(F.avg_pool2d(images, 2).to(models.device)).cpu().numpy()
        here |= {READ + name: c[:, i] for i, name in enumerate(models.attributes)}
        for name, values in here.items():
            columns.setdefault(name, []).append(values)
    path = task.path(folder, method.key)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(pa.table({k: np.concatenate(v) for k, v in columns.items()}), temporary)
    os.replace(temporary, path)


def measures_of(
    verdict: Mapping[str, np.ndarray], population: Population, rows: Sequence[int] | np.ndarray
) -> dict[str, np.ndarray]:
    """A verdict's single numbers, with the identity distances to the faces of the rows."""
    numbers = {name: values for name, values in verdict.items() if values.ndim == 1}
    numbers[IDENTITY] = distance(verdict["faceres"], population.verdicts["faceres"][rows])
    if population.photos:
        numbers[PHOTO] = distance(verdict["faceres"], population.photos["faceres"][rows])
    return numbers


def read_sweep(models: ModelSet, population: Population, path: Path) -> Sweep:
    """A task's file, with the unedited faces before it."""
    table = {name: column.to_numpy() for name, column in _columns(pq.read_table(path))}
    moved = len(STRENGTHS) - 1
    rows = table["row"][::moved]
    unedited = {name: values[rows] for name, values in population.verdicts.items()}
    start = measures_of(unedited, population, rows)
    start |= {READ + name: values[rows] for name, values in read_faces(models, population).items()}
    measures = {
        name: np.concatenate([start[name][:, None], values.reshape(-1, moved)], 1)
        for name, values in table.items()
        if name in start
    }
    return Sweep(rows, table["sign"][::moved], measures)


@torch.inference_mode()
def read_faces(models: ModelSet, population: Population) -> dict[str, np.ndarray]:
    """What the estimator reads off the unedited faces: attribute → (N,)."""
    known = _read.get(id(population))
    if known is None:
        pictures = (part.float() / 127.5 - 1 for part in population.pictures.split(8))
        c = torch.cat([models.estimator(x.to(models.device)).cpu() for x in pictures])
        known = {name: c[:, i].numpy() for i, name in enumerate(models.attributes)}
        _read[id(population)] = known
    return known


_read: dict[int, dict[str, np.ndarray]] = {}  # populations live as long as the process


def _columns(table: pa.Table) -> Iterable[tuple[str, pa.ChunkedArray]]:
    return ((name, table[name]) for name in table.column_names)
