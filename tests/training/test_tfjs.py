"""The tfjs reader and its operations against loops that follow TensorFlow's definitions."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sdflow.training import tfjs, tfjs_ops

SHAPES = [(5, 3, 1), (6, 3, 2), (7, 2, 2), (8, 2, 2), (9, 5, 3)]  # size, kernel, stride


def naive_conv(x: np.ndarray, kernel: np.ndarray, stride: int, same: bool) -> np.ndarray:
    """x (B, H, W, C), kernel (kH, kW, C, O); SAME puts the odd pixel at the bottom and right."""
    b, h, w, _ = x.shape
    kh, kw, _, outputs = kernel.shape
    rows = -(-h // stride) if same else (h - kh) // stride + 1
    columns = -(-w // stride) if same else (w - kw) // stride + 1
    top = max((rows - 1) * stride + kh - h, 0) // 2 if same else 0
    left = max((columns - 1) * stride + kw - w, 0) // 2 if same else 0
    out = np.zeros((b, rows, columns, outputs))
    for i in range(rows):
        for j in range(columns):
            for u in range(kh):
                for v in range(kw):
                    y, z = i * stride + u - top, j * stride + v - left
                    if 0 <= y < h and 0 <= z < w:
                        out[:, i, j] += x[:, y, z] @ kernel[u, v]
    return out


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def window(padding: str, stride: int, **more: dict) -> dict:
    strides = {"list": {"i": ["1", str(stride), str(stride), "1"]}}
    return {"strides": strides, "padding": {"s": text(padding)}, **more}


def write_model(folder: Path, nodes: list[dict], constants: dict, output: str) -> Path:
    """A graph model of `nodes` with `constants`, float32 or (values, quantisation)."""
    entries, blob = [], b""
    for name, value in constants.items():
        quantised = None
        if isinstance(value, tuple):
            value, quantised = value
        whole = value.dtype == np.int32
        dtype = "int32" if whole else "float32"
        entry = {"name": name, "shape": list(value.shape), "dtype": dtype}
        entries.append(entry | ({"quantization": quantised} if quantised else {}))
        blob += value.tobytes()
    nodes = [{"name": name, "op": "Const"} for name in constants] + nodes
    nodes.insert(0, {"name": "x", "op": "Placeholder"})
    model = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["model.bin"], "weights": entries}],
        "signature": {"outputs": {output: {"name": output + ":0"}}},
    }
    (folder / "model.bin").write_bytes(blob)
    (folder / "model.json").write_text(json.dumps(model))
    return folder / "model.json"


@pytest.mark.parametrize(("size", "kernel", "stride"), SHAPES)
def test_same_padding_covers_each_input(size: int, kernel: int, stride: int) -> None:
    before, after = tfjs_ops.same_padding(size, kernel, stride)
    assert after - before in (0, 1)
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("size", "kernel", "stride"), SHAPES)
def test_conv_equals_loop(
    tmp_path: Path, padding: str, size: int, kernel: int, stride: int
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, size, size + 1, 3)).astype(np.float32)
    weight = rng.standard_normal((kernel, kernel, 3, 4)).astype(np.float32)
    scale, shift = (rng.standard_normal(4).astype(np.float32) for _ in range(2))
    nodes = [
        {"name": "conv", "op": "Conv2D", "input": ["x", "k"], "attr": window(padding, stride)},
        {"name": "scaled", "op": "Mul", "input": ["conv", "scale"]},
        {"name": "moved", "op": "Add", "input": ["scaled", "shift"]},
        {"name": "out", "op": "Relu", "input": ["moved"]},
    ]
    path = write_model(tmp_path, nodes, {"k": weight, "scale": scale, "shift": shift}, "out")
    model = tfjs.GraphModel(path)
    found = model(torch.from_numpy(x).permute(0, 3, 1, 2))["out"].permute(0, 2, 3, 1).numpy()
    expected = np.maximum(naive_conv(x, weight, stride, padding == "SAME") * scale + shift, 0)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_depthwise_with_multiplier_equals_loop() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 6, 6, 3)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 3, 2)).astype(np.float32)
    weight = tfjs_ops.depthwise_kernel(torch.from_numpy(kernel))
    found = tfjs_ops.convolve(
        torch.from_numpy(x).permute(0, 3, 1, 2), weight, None, 2, same=True, groups=3
    )
    parts = [naive_conv(x[..., c : c + 1], kernel[:, :, c : c + 1], 2, True) for c in range(3)]
    expected = np.concatenate(parts, axis=-1)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1).numpy(), expected, atol=1e-4)


def test_pools_reshape_mean_and_dense_keep_the_graphs_axes(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 5, 5, 3)).astype(np.float32)
    matrix = rng.standard_normal((27, 4)).astype(np.float32)
    ksize = {"ksize": {"list": {"i": ["1", "3", "3", "1"]}}}
    nodes = [
        {"name": "pool", "op": "MaxPool", "input": ["x"], "attr": window("SAME", 2, **ksize)},
        {"name": "flat", "op": "Reshape", "input": ["pool", "shape"]},
        {"name": "out", "op": "MatMul", "input": ["flat", "m"], "attr": {}},
    ]
    constants = {"shape": np.array([-1, 27], np.int32), "m": matrix}
    model = tfjs.GraphModel(write_model(tmp_path, nodes, constants, "out"))
    found = model(torch.from_numpy(x).permute(0, 3, 1, 2))["out"].numpy()
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    pooled = np.stack(
        [
            np.stack([padded[:, i : i + 3, j : j + 3].max((1, 2)) for j in (0, 2, 4)], 1)
            for i in (0, 2, 4)
        ],
        1,
    )
    np.testing.assert_allclose(found, pooled.reshape(2, 27) @ matrix, atol=1e-4)

    nodes = [{"name": "out", "op": "Mean", "input": ["x", "axes"], "attr": {}}]
    path = write_model(tmp_path, nodes, {"axes": np.array([1, 2], np.int32)}, "out")
    found = tfjs.GraphModel(path)(torch.from_numpy(x).permute(0, 3, 1, 2))["out"].numpy()
    np.testing.assert_allclose(found, x.mean((1, 2)), atol=1e-5)


def test_average_pool_does_not_count_padding() -> None:
    ksize = {"ksize": {"list": {"i": ["1", "2", "2", "1"]}}}
    node = {"attr": window("SAME", 2, **ksize)}
    average = tfjs_ops.operation("AvgPool", node, [], torch.float32)
    assert torch.equal(average(torch.ones(1, 2, 3, 3)), torch.ones(1, 2, 2, 2))


def test_quantised_weights_are_expanded(tmp_path: Path) -> None:
    quantised = {"dtype": "uint8", "scale": 0.5, "min": -3.0}
    nodes = [{"name": "out", "op": "Add", "input": ["x", "b"]}]
    stored = np.array([0, 2, 255], np.uint8)
    model = tfjs.GraphModel(write_model(tmp_path, nodes, {"b": (stored, quantised)}, "out"))
    found = model(torch.zeros(1, 3, 2, 2))["out"][0, :, 0, 0]
    assert found.tolist() == [-3.0, -2.0, 124.5]


def test_short_shard_and_unknown_operation_are_named(tmp_path: Path) -> None:
    nodes = [{"name": "out", "op": "Cosh", "input": ["x"]}]
    path = write_model(tmp_path, nodes, {"b": np.zeros(4, np.float32)}, "out")
    with pytest.raises(ValueError, match="Cosh"):
        tfjs.GraphModel(path)
    (tmp_path / "model.bin").write_bytes(b"\0" * 12)
    with pytest.raises(ValueError, match="Fetch them again"):
        tfjs.GraphModel(path)
