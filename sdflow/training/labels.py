"""Labels the bank with the teachers: one parquet file a shard, then one index of all faces."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file

from sdflow.images import to_tensor
from sdflow.training.bank import shards, unpack_jpegs
from sdflow.training.progress import Progress
from sdflow.training.teachers import MEASURES, Teachers, probabilities

BATCH = 4


def label_shards(folder: Path, worker: int = 0, workers: int = 1) -> None:
    """Measures what is not measured yet in every shard; worker i of n takes every n-th.

    A row holds the teachers' raw measures; a measure that joins `MEASURES` later is added.
    """
    missing = [p for p in sorted(folder.glob("*.safetensors")) if missing_groups(p)]
    missing = missing[worker::workers]
    if not missing:
        return
    teachers = Teachers()
    progress = Progress("labelled shards", len(missing))
    for path in missing:
        pictures = list(unpack_jpegs(load_file(path)))
        rows: list[dict[str, torch.Tensor]] = []
        for start in range(0, len(pictures), BATCH):
            batch = torch.cat([to_tensor(picture) for picture in pictures[start : start + BATCH]])
            rows.append(teachers.label(batch, missing_groups(path)))
        columns = {"shard": [path.stem] * len(pictures), "row": np.arange(len(pictures))}
        known = label_path(path)
        if known.exists():
            columns |= {n: c.to_numpy() for n, c in _measures(pq.read_table(known)).items()}
        columns |= {name: torch.cat([row[name] for row in rows]).numpy() for name in rows[0]}
        temporary = known.with_suffix(f".{os.getpid()}.tmp")
        pq.write_table(pa.table(columns), temporary)
        os.replace(temporary, known)
        progress.advance()


def missing_groups(shard: Path) -> tuple[str, ...]:
    """The groups of `MEASURES` that the shard's labels lack."""
    known = label_path(shard)
    names = set(pq.read_schema(known).names) if known.exists() else set()
    return tuple(group for group, measures in MEASURES.items() if not names.issuperset(measures))


def label_path(shard: Path) -> Path:
    """Where the labels of a shard lie."""
    return shard.with_suffix(".labels.parquet")


def labelled_shards(folder: Path, kind: str) -> list[Path]:
    """The shards of a kind that belong to training and are labelled already."""
    return [p for p in shards(folder, kind) if label_path(p).exists()]


def write_index(folder: Path) -> Path:
    """Joins the shards' labels to ``index.parquet``: shard, row, measures."""
    columns = ["shard", "row", *(name for measures in MEASURES.values() for name in measures)]
    found = sorted(folder.glob("*.labels.parquet"))
    tables = [pq.read_table(path, columns=columns) for path in found]
    path = folder / "index.parquet"
    pq.write_table(pa.concat_tables(tables), path)
    return path


def read_labels(shards: list[Path], names: tuple[str, ...]) -> torch.Tensor:
    """Values in 0..1 of the named attributes for the faces of the shards, (N, A); nan: unknown."""
    tables = [_measures(pq.read_table(label_path(shard))) for shard in shards]
    columns = {
        name: torch.from_numpy(np.concatenate([table[name].to_numpy() for table in tables]))
        for name in tables[0]
    }
    values = probabilities(columns)
    return torch.stack([values[name].float() for name in names], 1)


def _measures(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    known = {name for measures in MEASURES.values() for name in measures}
    return {name: table[name] for name in table.column_names if name in known}
