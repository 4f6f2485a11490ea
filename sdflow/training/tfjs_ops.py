"""TensorFlow's operations as torch calls, for the graphs that `tfjs` reads.

Rank-4 values are kept as (B, C, H, W) in channels_last memory although the graph thinks in
(B, H, W, C), so every operation that names an axis is translated here. TensorFlow's SAME padding
is kept exactly: it is asymmetric, the odd row and column go to the bottom and the right.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Step = Callable[..., Tensor]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels that TensorFlow's SAME adds before and after one axis of `size` pixels."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: tuple[int, int], stride: int, value: float = 0.0) -> Tensor:
    """Pad (B, C, H, W) as TensorFlow's SAME does before a window of `kernel` and `stride`."""
    top, bottom = same_padding(x.shape[2], kernel[0], stride)
    left, right = same_padding(x.shape[3], kernel[1], stride)
    return F.pad(x, (left, right, top, bottom), value=value) if top + bottom + left + right else x


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, same: bool, groups: int = 1
) -> Tensor:
    """Convolve (B, C, H, W) with TensorFlow's padding; weight is (O, C / groups, kH, kW)."""
    if not same:
        return F.conv2d(x, weight, bias, stride, groups=groups)
    kernel = (weight.shape[2], weight.shape[3])
    rows, columns = (same_padding(x.shape[2 + a], kernel[a], stride) for a in (0, 1))
    if rows[0] == rows[1] and columns[0] == columns[1]:
        return F.conv2d(x, weight, bias, stride, (rows[0], columns[0]), groups=groups)
    return F.conv2d(pad_same(x, kernel, stride), weight, bias, stride, groups=groups)


def dense_kernel(kernel: Tensor) -> Tensor:
    """TensorFlow's (kH, kW, in, out) as torch's (out, in, kH, kW)."""
    return kernel.permute(3, 2, 0, 1).contiguous()


def depthwise_kernel(kernel: Tensor) -> Tensor:
    """TensorFlow's (kH, kW, in, multiplier) as torch's (in * multiplier, 1, kH, kW)."""
    return kernel.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1).contiguous()


def activation(op: str, fixed: list[Tensor], dtype: torch.dtype) -> Step:
    """An elementwise nonlinearity; PRelu's slopes are taken from `fixed`."""
    if op in ("PRelu", "Prelu"):
        slope = fixed.pop(0).flatten().to(dtype)
        return lambda x: F.prelu(x, slope)
    if op == "Relu6":
        return lambda x: x.clamp(0, 6)
    return {"Relu": torch.relu, "Elu": F.elu, "Sigmoid": torch.sigmoid}[op]


def operation(op: str, node: dict, fixed: list[Tensor], dtype: torch.dtype) -> Step:
    """The torch call for one graph operation; `fixed` are its constant inputs, in order."""
    if op in ("Relu", "Relu6", "Elu", "Sigmoid", "Prelu"):
        return activation(op, list(fixed), dtype)
    if op in ("Add", "AddV2", "BiasAdd", "Mul", "Sub", "Minimum", "Maximum"):
        call = {"Mul": torch.mul, "Sub": torch.sub, "Minimum": torch.minimum,
                "Maximum": torch.maximum}.get(op, torch.add)  # fmt: skip
        if not fixed:
            return call
        return lambda x: call(x, _beside(fixed[0], x))
    if op == "Softmax":
        return lambda x: x.float().softmax(-1)
    if op in ("MaxPool", "AvgPool"):
        return _pool(op, node)
    if op == "Mean":
        axes = [int(a) for a in fixed[0].flatten()]
        keep = bool(node["attr"].get("keep_dims", {}).get("b", False))
        return lambda x: x.float().mean([_axis(a, x.dim()) for a in axes], keepdim=keep)
    if op in ("MatMul", "_FusedMatMul"):
        matrix = fixed[0].T if node["attr"].get("transpose_b", {}).get("b") else fixed[0]
        fused = [name for name in read_strings(node, "fused_ops") if name != "BiasAdd"]
        extra = [activation(name, [], dtype) for name in fused]
        bias = fixed[1] if len(fixed) > 1 else 0.0

        def multiply(x: Tensor) -> Tensor:
            y = x.float() @ matrix + bias
            for activate in extra:
                y = activate(y)
            return y

        return multiply
    if op == "Reshape":
        shape = [int(s) for s in fixed[0].flatten()]
        return lambda x: _from_nhwc(_to_nhwc(x).reshape([-1 if s < 0 else s for s in shape]))
    if op == "Pad":
        (_, _), (top, bottom), (left, right), (front, back) = fixed[0].tolist()
        return lambda x: F.pad(x, (left, right, top, bottom, front, back))
    if op == "ConcatV2":
        axis = int(fixed[-1])
        return lambda *xs: torch.cat(xs, _axis(axis, xs[0].dim()))
    if op == "ResizeBilinear":
        size = [int(s) for s in fixed[0].flatten()]
        corners = bool(node["attr"].get("align_corners", {}).get("b", False))
        return lambda x: F.interpolate(x, size, mode="bilinear", align_corners=corners)
    raise ValueError(f"The graph operation {op!r} is unknown. Add it to sdflow/training/tfjs.py.")


def _pool(op: str, node: dict) -> Step:
    kernel, stride = read_number(node, "ksize"), read_number(node, "strides")
    same = read_string(node, "padding") == "SAME"

    def run(x: Tensor) -> Tensor:
        if op == "MaxPool":
            padded = pad_same(x, (kernel, kernel), stride, -torch.inf) if same else x
            return F.max_pool2d(padded, kernel, stride)
        if not same:
            return F.avg_pool2d(x, kernel, stride)
        inside = pad_same(torch.ones_like(x[:1, :1]), (kernel, kernel), stride)
        total = F.avg_pool2d(pad_same(x, (kernel, kernel), stride), kernel, stride)
        return total / F.avg_pool2d(inside, kernel, stride)  # padding does not count

    return run


def _axis(axis: int, rank: int) -> int:
    """An axis of the graph's (B, H, W, C) as one of our (B, C, H, W)."""
    return (0, 2, 3, 1)[axis % 4] if rank == 4 else axis


def _to_nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.dim() == 4 else x


def _from_nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2) if x.dim() == 4 else x


def _beside(constant: Tensor, x: Tensor) -> Tensor:
    """A constant in the graph's layout, shaped to broadcast against `x` in ours."""
    if x.dim() == 4:
        constant = constant.reshape([1] * (4 - constant.dim()) + list(constant.shape))
        constant = constant.permute(0, 3, 1, 2)
    return constant.to(x.dtype)


def read_string(node: dict, key: str) -> str:
    """A string attribute, stored in base64."""
    return base64.b64decode(node["attr"][key]["s"]).decode()


def read_strings(node: dict, key: str) -> list[str]:
    """A list of string attributes; empty where there is none."""
    listed = node.get("attr", {}).get(key, {}).get("list", {}).get("s", [])
    return [base64.b64decode(s).decode() for s in listed]


def read_number(node: dict, key: str) -> int:
    """The height entry of a (1, H, W, 1) list such as `strides` or `ksize`."""
    return int(node["attr"][key]["list"]["i"][1])
