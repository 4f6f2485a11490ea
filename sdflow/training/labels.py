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
from sdflow.training.bank import unpack_jpegs
from sdflow.training.progress import Progress
from sdflow.training.teachers import Teachers, probabilities

BATCH = 4


def label_shards(folder: Path, worker: int = 0, workers: int = 1) -> None:
    """Labels every shard that has no labels yet; worker i of n takes every n-th.

    A row holds the teachers' raw measures and, as ``p_NAME``, each attribute's value in 0..1.
    """
    missing = [p for p in sorted(folder.glob("*.safetensors")) if not label_path(p).exists()]
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
            measures = teachers.label(batch)
            measures.pop("feature")
            values = {f"p_{name}": value for name, value in probabilities(measures).items()}
            rows.append(measures | values)
        columns = {name: torch.cat([row[name] for row in rows]).numpy() for name in rows[0]}
        table = pa.table({"shard": [path.stem] * len(pictures),
                          "row": np.arange(len(pictures)), **columns})  # fmt: skip
        temporary = label_path(path).with_suffix(f".{os.getpid()}.tmp")
        pq.write_table(table, temporary)
        os.replace(temporary, label_path(path))
        progress.advance()


def label_path(shard: Path) -> Path:
    """Where the labels of a shard lie."""
    return shard.with_suffix(".labels.parquet")


def write_index(folder: Path) -> Path:
    """Joins the shards' labels to ``index.parquet``: shard, row, measures, values."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.labels.parquet"))]
    path = folder / "index.parquet"
    pq.write_table(pa.concat_tables(tables), path)
    return path


def read_labels(shards: list[Path], names: tuple[str, ...]) -> torch.Tensor:
    """Values in 0..1 of the named attributes for the faces of the shards, (N, A)."""
    tables = [pq.read_table(label_path(shard)) for shard in shards]
    columns = [np.concatenate([t[f"p_{name}"].to_numpy() for t in tables]) for name in names]
    return torch.from_numpy(np.stack(columns, 1).astype(np.float32))
