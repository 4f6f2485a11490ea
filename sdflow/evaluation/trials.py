"""Trials beyond the sweeps: glasses that come with age, five attributes at once, and the floor."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from sdflow.evaluation.judges import JUDGED, judge, positive
from sdflow.evaluation.methods import Method
from sdflow.evaluation.populations import Population, render
from sdflow.models import ModelSet
from sdflow.training.teachers import THRESHOLDS, Teachers

YEARS = 20.0
HALVINGS = 5  # of the strength: it is found to 1/32
FIVE = ("eyeglasses", "gender", "young", "smiling", "yaw")
FIVE_STRENGTH = 0.8
AGE, FIVE_AT_ONCE, FLOOR = "age", "five", "floor"
FLOOR_FACES, UNSEEN = 100, 0.02  # at most; deviation of a change of w that nobody sees
SEED = 7


@torch.inference_mode()
def age_faces(
    models: ModelSet, method: Method, population: Population, most: int, path: Path
) -> None:
    """Ages faces without glasses by 20 years of the teacher's, and looks for glasses.

    The strength is the smallest, to 1/32, at which the teacher's age rose by 20 years, found by
    halving; a face that does not age so much at full strength is kept with strength nan. Columns:
    ``row``, ``strength``, ``years`` (gained there, or at full strength), and if it has glasses, as
    ``judged`` by the Sobel judge and ``parsed`` by BiSeNet.
    """
    teachers = Teachers()

    def age(images: torch.Tensor) -> float:
        return float(teachers.label(images, ("person",))["age"][0])

    rows = []
    without = np.flatnonzero(~positive(population.verdicts, "eyeglasses"))
    without = np.random.default_rng(SEED).permutation(without)[:most]
    for row in without.tolist():
        face = population.face(row)

        def edited(strength: float) -> torch.Tensor:
            return render(models, method.edit(face, [{"young": -strength}]))  # noqa: B023

        unedited = render(models, face.w)
        if _parsed_glasses(teachers, unedited):
            continue
        start = age(unedited)
        images = edited(1.0)
        years, strength = age(images) - start, np.nan
        if years >= YEARS:
            low, strength = 0.0, 1.0
            for _ in range(HALVINGS):
                middle = (low + strength) / 2
                tried = edited(middle)
                gained = age(tried) - start
                if gained >= YEARS:
                    images, years, strength = tried, gained, middle
                else:
                    low = middle
        rows.append({
            "row": row, "strength": strength, "years": years,
            "judged": bool(positive(judge(images, identity=False), "eyeglasses")[0]),
            "parsed": _parsed_glasses(teachers, images),
        })  # fmt: skip
    _write(rows, path)


@torch.inference_mode()
def set_five(
    models: ModelSet, method: Method, population: Population, most: int, path: Path
) -> None:
    """Moves five attributes at once towards the opposite side at ±0.8.

    Columns: ``row``, and for each attribute whether the judges see it on the other side.
    """
    names = [name for name in FIVE if name in method.attributes]
    rows = []
    chosen = np.random.default_rng(SEED).permutation(len(population.w))[:most]
    for row in chosen.tolist():
        before = {key: value[row : row + 1] for key, value in population.verdicts.items()}
        sides = {name: bool(positive(before, name)[0]) for name in names}
        moved = {name: -FIVE_STRENGTH if side else FIVE_STRENGTH for name, side in sides.items()}
        verdict = judge(render(models, method.edit(population.face(row), [moved])), identity=False)
        reached = {name: bool(positive(verdict, name)[0]) != side for name, side in sides.items()}
        rows.append({"row": row, **reached})
    _write(rows, path)


@torch.inference_mode()
def measure_floor(
    models: ModelSet, method: Method, population: Population, most: int, path: Path
) -> None:
    """Changes w so little that nobody sees it: sides that change then are the judges' own noise.

    w gets a normal of deviation `UNSEEN`, the same for all layers. Columns: ``row``, and for each
    judged attribute of the method whether the judges see it on the same side as before.
    """
    rng = np.random.default_rng(SEED)
    rows = []
    for row in rng.permutation(len(population.w))[: min(most, FLOOR_FACES)].tolist():
        noise = torch.from_numpy(UNSEEN * rng.standard_normal(512)).float()
        verdict = judge(render(models, population.face(row).w + noise), identity=False)
        before = {key: value[row : row + 1] for key, value in population.verdicts.items()}
        kept = {name: bool(positive(verdict, name)[0] == positive(before, name)[0])
                for name in method.attributes if name in JUDGED}  # fmt: skip
        rows.append({"row": row, **kept})
    _write(rows, path)


TRIALS = {AGE: age_faces, FIVE_AT_ONCE: set_five, FLOOR: measure_floor}


def _parsed_glasses(teachers: Teachers, images: torch.Tensor) -> bool:
    return bool(teachers.label(images, ("areas",))["glasses"][0] > THRESHOLDS["glasses"])


def _write(rows: list[dict[str, object]], path: Path) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(pa.Table.from_pylist(rows), temporary)
    os.replace(temporary, path)
