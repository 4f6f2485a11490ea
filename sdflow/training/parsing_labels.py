"""BiSeNet's class maps of the bank, merged to the classes of `networks/parsing.py`.

A shard's maps lie in ``parsing/`` below the bank: ``map`` (N, 256, 256) uint8, written whole or
not at all, so a killed run goes on where it stopped and several processes may share the work.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from sdflow import weights
from sdflow.images import to_tensor
from sdflow.networks.fast_synthesis import native_dtype
from sdflow.networks.parsing import CLASSES, SIDE
from sdflow.training import bank, bisenet
from sdflow.training.progress import Progress

BATCH = 4
HELD_OUT_SHARDS = ("generated-00019", "real_held_out-00000", "real_held_out-00001")
# Our class of each of BiSeNet's nineteen; ear rings go with the ears, a necklace with the neck.
MERGED = (
    "background", "face", "face", "face", "face", "face", "glasses", "ears", "ears", "ears",
    "face", "face", "face", "face", "neck", "neck", "background", "hair", "hat",
)  # fmt: skip
NECK = CLASSES.index("neck")
_MERGED = torch.tensor([CLASSES.index(name) for name in MERGED], dtype=torch.uint8)


def load_bisenet(dtype: torch.dtype | None = None) -> bisenet.BiSeNet:
    """The teacher, its batch norms folded, in bfloat16 where the CPU computes in it."""
    file = weights.path("bisenet", "79999_iter.pth")
    network = bisenet.BiSeNet()
    bisenet.load_state(network, torch.load(file, map_location="cpu", weights_only=True))
    bisenet.fold_batch_norms(network).to(memory_format=torch.channels_last)
    return network.to(dtype or native_dtype(torch.device("cpu")))


def merge(classes: torch.Tensor) -> torch.Tensor:
    """BiSeNet's class numbers, any shape → ours, uint8 of the same shape."""
    return _MERGED[classes.long()]


@torch.inference_mode()
def class_maps(teacher: bisenet.BiSeNet, faces: torch.Tensor) -> torch.Tensor:
    """Faces (B, 3, 512, 512) in [-1, 1] → our classes (B, 256, 256), uint8.

    The scores are the mean of the picture's and its mirror image's; merged classes do not know
    left from right, so probabilities are merged first.
    """
    both = teacher(torch.cat([faces, faces.flip(3)])).float().contiguous()  # (2B, 19, 64, 64)
    both = F.interpolate(both, (SIDE, SIDE), mode="bilinear", align_corners=True).softmax(1)
    straight, mirrored = both.chunk(2)
    sums = torch.zeros(len(faces), len(CLASSES), SIDE, SIDE)
    return sums.index_add_(1, _MERGED.long(), straight + mirrored.flip(3)).argmax(1).byte()


def map_path(shard: Path) -> Path:
    """Where the class maps of a shard of the bank lie."""
    return shard.parent / "parsing" / shard.name


def chosen_shards(folder: Path, faces: int) -> list[Path]:
    """The shards to learn from: all photos, and up to ``faces`` of each kind with codes."""
    count = -(-faces // bank.SHARD)
    drawn = [p for kind in bank.WITH_CODES for p in bank.shards(folder, kind)[:count]]
    return drawn + sorted(folder.glob("real-*.safetensors"))


def held_out_shards(folder: Path) -> list[Path]:
    """The shards kept for scores: generated faces, and photos of people nobody trained on."""
    paths = [folder / f"{name}.safetensors" for name in HELD_OUT_SHARDS]
    return [path for path in paths if path.exists()]


def read_maps(shards: list[Path]) -> torch.Tensor:
    """The class maps (N, 256, 256) of shards, without people beside the one in the middle."""
    return main_person(torch.cat([load_file(map_path(shard))["map"] for shard in shards]))


def main_person(maps: torch.Tensor) -> torch.Tensor:
    """Turns heads that do not touch the face in the middle into background.

    A neck stays: a beard or a scarf may part it from its face.

    Args:
        maps: classes (B, 256, 256), uint8.
    """
    head = ((maps > 0) & (maps != NECK))[:, None].float()  # (B, 1, 256, 256)
    coarse = F.max_pool2d(head, 4)  # (B, 1, 64, 64)
    near = torch.zeros_like(coarse)
    near[:, :, 20:52, 20:44] = coarse[:, :, 20:52, 20:44]
    for _ in range(64):  # it grows through what belongs together
        near = F.max_pool2d(near, 3, 1, 1) * coarse
    kept = F.interpolate(near, scale_factor=4.0)[:, 0] > 0
    return torch.where(kept | (maps == NECK), maps, torch.zeros_like(maps))


def parse_shards(shards: list[Path], worker: int = 0, workers: int = 1) -> None:
    """Writes the class maps that are missing; worker i of n takes every n-th shard."""
    missing = [p for p in shards if not map_path(p).exists()][worker::workers]
    if not missing:
        return
    teacher = load_bisenet()
    progress = Progress("parsed shards", len(missing))
    for path in missing:
        pictures = list(bank.unpack_jpegs(load_file(path)))
        maps = [
            class_maps(teacher, torch.cat([to_tensor(p) for p in pictures[k : k + BATCH]]))
            for k in range(0, len(pictures), BATCH)
        ]
        map_path(path).parent.mkdir(exist_ok=True)
        bank.write_whole({"map": torch.cat(maps)}, map_path(path), {})
        progress.advance()
