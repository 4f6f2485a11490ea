"""dlib's face recognition network in PyTorch: aligned crop (B, 3, H, W) → descriptor (B, 128).

A ResNet of 29 convolutions (dlib's ``dnn_face_recognition_ex``), its affine layers folded into
the convolutions before them. Two photos are of the same person when their descriptors are nearer
than 0.6. It is differentiable: training and refinement can ask for a face of the same person.
"""

from __future__ import annotations

import math
import re

import torch
import torch.nn.functional as F
from torch import nn

WIDTHS = (32, 32, 32, 64, 64, 64, 64, 128, 128, 128, 256, 256, 256, 256)  # of the residual blocks
MEAN_COLOUR = (122.782, 117.001, 104.298)  # of 0..255, subtracted before the network
CHIP = 150  # pixels of dlib's face chip
# Where dlib's chip lies in an FFHQ crop, as fractions of its side: both are similarities fixed by
# the same landmarks, so one mean chip serves: its descriptor is 0.14 from that of dlib's own chip
# (median of 24 faces).
CHIP_BOX = (0.145, 0.255, 0.855, 0.965)  # left, top, right, bottom


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the smaller is padded with zeros, as in dlib."""

    def __init__(self, c_in: int, c_out: int, down: bool) -> None:
        super().__init__()
        self.down = down
        # dlib pads a strided convolution not at all.
        self.conv1 = nn.Conv2d(c_in, c_out, 3, 2 if down else 1, 0 if down else 1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(F.relu(self.conv1(x)))
        skip = F.avg_pool2d(x, 2) if self.down else x
        sizes = [max(a, b) for a, b in zip(y.shape[1:], skip.shape[1:], strict=True)]
        return F.relu(_grow(y, sizes) + _grow(skip, sizes))


class DlibTrunk(nn.Module):
    """The convolutional part: normalised pixels → features of every stage.

    Args:
        blocks: how many of the residual blocks are kept.
    """

    def __init__(self, blocks: int = len(WIDTHS)) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, 2)
        before = (32, *WIDTHS[:-1])
        down = [i in (3, 7, 10, 13) for i in range(len(WIDTHS))]
        sizes = list(zip(before, WIDTHS, down, strict=True))[:blocks]
        self.blocks = nn.ModuleList(ResidualBlock(*size) for size in sizes)
        self.register_buffer("mean", torch.tensor(MEAN_COLOUR)[:, None, None], persistent=False)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """image (B, 3, H, W) in [-1, 1] → the stages' features (five when whole), finest first."""
        x = ((image + 1) * 127.5 - self.mean) / 256
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        stages = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in (2, 6, 9, 12, 13):
                stages.append(x)
        return stages


class IdentityNetwork(nn.Module):
    """Aligned crop → dlib's 128-d descriptor."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = DlibTrunk()
        self.descriptor = nn.Linear(256, 128, bias=False)

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """FFHQ crop (B, 3, H, W) in [-1, 1], 256 px or larger → (B, 128)."""
        return self.describe(cut_chip(crop))

    def forward_with_features(
        self, crop: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """FFHQ crop → descriptor (B, 128) and the trunk's features, for a perceptual loss."""
        stages = self.trunk(cut_chip(crop))
        return self.descriptor(stages[-1].mean((2, 3))), stages

    def describe(self, chip: torch.Tensor) -> torch.Tensor:
        """dlib's face chip (B, 3, 150, 150) in [-1, 1] → (B, 128)."""
        return self.descriptor(self.trunk(chip)[-1].mean((2, 3)))


def _grow(x: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    channels, height, width = (size - now for size, now in zip(sizes, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels))


def cut_chip(crop: torch.Tensor) -> torch.Tensor:
    """FFHQ crop (B, 3, H, H) → the part that dlib's chip shows, (B, 3, 150, 150)."""
    side = crop.shape[-1]
    left, top, right, bottom = (round(edge * side) for edge in CHIP_BOX)
    part = crop[:, :, top:bottom, left:right]
    return F.interpolate(part, (CHIP, CHIP), mode="bilinear", antialias=True)


def state_from_dlib(data: bytes) -> dict[str, torch.Tensor]:
    """Reads the parameters of ``dlib_face_recognition_resnet_model_v1.dat``.

    The file lists the layers from the input on. A layer is its name, its format's version, then a
    tensor: version, four sizes, raw little-endian float32. An integer is its length in bytes, then
    those bytes, little-endian (``dlib/serialize.h``).

    Raises:
        ValueError: the file holds other layers than this network.
    """
    tensors: dict[str, list[torch.Tensor]] = {"con_4": [], "affine_": [], "fc_2": []}
    position = 0
    while found := re.compile(rb"\x01[\x04-\x07](con_4|affine_|fc_2)").search(data, position):
        before_tensor = 2 if found[1] == b"fc_2" else 0  # its outputs and inputs
        values, position = _read_tensor(data, found.end(), before_tensor)
        tensors[found[1].decode()].append(values)
    if [len(v) for v in tensors.values()] != [29, 29, 1]:
        raise ValueError("This is not dlib's face recognition model. Fetch the file again.")
    names = ["trunk.stem"] + [
        f"trunk.blocks.{i}.conv{k}" for i in range(len(WIDTHS)) for k in (1, 2)
    ]
    state = {"descriptor.weight": tensors["fc_2"][0].reshape(256, 128).T.contiguous()}
    c_in = 3
    for name, convolution, affine in zip(names, tensors["con_4"], tensors["affine_"], strict=True):
        gamma, beta = affine.chunk(2)
        c_out = len(gamma)
        kernel = convolution[:-c_out].reshape(c_out, c_in, *[7 if c_in == 3 else 3] * 2)
        state[f"{name}.weight"] = kernel * gamma[:, None, None, None]
        state[f"{name}.bias"] = convolution[-c_out:] * gamma + beta
        c_in = c_out
    return state


def _read_tensor(data: bytes, position: int, skip: int) -> tuple[torch.Tensor, int]:
    numbers: list[int] = []
    while len(numbers) < skip + 5:  # the tensor's format, then its four sizes
        length = data[position] & 0x7F
        numbers.append(int.from_bytes(data[position + 1 : position + 1 + length], "little"))
        position += 1 + length
    count = math.prod(numbers[-4:])
    end = position + 4 * count
    return torch.frombuffer(bytearray(data[position:end]), dtype=torch.float32), end
