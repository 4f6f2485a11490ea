"""face-api.js' expression network: a 112 px face in, probabilities of seven expressions out.

Four blocks of densely added separable convolutions; weights from npm `@vladmandic/face-api`.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from sdflow.training.tfjs import read_weights
from sdflow.training.tfjs_ops import convolve, dense_kernel, depthwise_kernel

EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
SIZE = 112
MEAN = (122.782, 117.001, 104.298)


class ExpressionNetwork:
    """The network with its weights, float32.

    Args:
        manifest: `face_expression_model-weights_manifest.json`; the shard lies beside it.
    """

    def __init__(self, manifest: Path) -> None:
        raw = read_weights(json.loads(Path(manifest).read_text()), Path(manifest).parent)
        shaped = {"filters": dense_kernel, "pointwise_filter": dense_kernel,
                  "depthwise_filter": depthwise_kernel}  # fmt: skip
        self._weights = {
            name: shaped.get(name.rsplit("/", 1)[1], lambda x: x)(value)
            for name, value in raw.items()
        }

    @torch.inference_mode()
    def __call__(self, faces: Tensor) -> Tensor:
        """Probabilities (B, 7), ordered as `EXPRESSIONS`, of faces (B, 3, 112, 112) in [-1, 1]."""
        x = (faces + 1) * 127.5 - torch.tensor(MEAN).view(3, 1, 1)
        x = (x / 255).contiguous(memory_format=torch.channels_last)
        for block in range(4):
            x = self._block(x, f"dense{block}")  # (B, 32 * 2^block, 56 / 2^block, 56 / 2^block)
        x = F.avg_pool2d(x, 7, 2).flatten(1)  # (B, 256)
        return (x @ self._weights["fc/weights"] + self._weights["fc/bias"]).softmax(1)

    def _block(self, x: Tensor, name: str) -> Tensor:
        total = self._conv(x, f"{name}/conv0", 2)
        features = F.relu(total)
        for index in (1, 2, 3):
            total = total + self._conv(features, f"{name}/conv{index}", 1)
            features = F.relu(total)
        return features

    def _conv(self, x: Tensor, name: str, stride: int) -> Tensor:
        bias = self._weights[f"{name}/bias"]
        if f"{name}/filters" in self._weights:
            return convolve(x, self._weights[f"{name}/filters"], bias, stride, True)
        depthwise = self._weights[f"{name}/depthwise_filter"]
        x = convolve(x, depthwise, None, stride, True, depthwise.shape[0])
        return convolve(x, self._weights[f"{name}/pointwise_filter"], bias, 1, True)
