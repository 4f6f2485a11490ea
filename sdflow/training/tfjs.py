"""Runs the TensorFlow.js networks that label training faces: manifest and shards in, torch out.

A tfjs graph model is a JSON file (graph and weight manifest) beside binary shards. The graph is
compiled once into a list of torch calls (`tfjs_ops`); constant scales and offsets that follow a
convolution are folded into it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sdflow.training.tfjs_ops import (
    Step,
    activation,
    convolve,
    dense_kernel,
    depthwise_kernel,
    operation,
    read_number,
    read_string,
    read_strings,
)


def read_weights(manifest: list[dict], folder: Path) -> dict[str, Tensor]:
    """Read every tensor of a tfjs weight manifest.

    Args:
        manifest: The list of groups, each with `paths` and `weights`.
        folder: Where the binary shards lie.

    Returns:
        Tensors by name in TensorFlow's layout, float32 or int64; quantised ones are expanded.

    Raises:
        ValueError: A shard is shorter than its manifest says.
    """
    tensors = {}
    for group in manifest:
        blob = b"".join((folder / name).read_bytes() for name in group["paths"])
        offset = 0
        for entry in group["weights"]:
            quantised = entry.get("quantization")
            kind = np.dtype((quantised or entry)["dtype"])
            count = int(np.prod(entry["shape"]))
            if offset + count * kind.itemsize > len(blob):
                ends = f"The weights in {group['paths']} end before {entry['name']!r}."
                raise ValueError(f"{ends} Fetch them again.")
            values = np.frombuffer(blob, kind, count, offset)
            offset += count * kind.itemsize
            if quantised and "scale" in quantised:
                values = values.astype(np.float32) * quantised["scale"] + quantised["min"]
            target = np.float32 if entry["dtype"] == "float32" else np.int64
            values = values.astype(target).reshape(entry["shape"])
            tensors[entry["name"]] = torch.from_numpy(values)
    return tensors


class GraphModel:
    """A tfjs graph model with one input, compiled for one dtype.

    Args:
        path: The model's JSON file; the shards lie beside it.
        dtype: Of the convolutional part; whatever follows a reduction to rank 2 is float32.
        outputs: Node names wanted; default, the graph's signature.

    Raises:
        ValueError: The graph holds an operation that this file does not know.
    """

    def __init__(
        self,
        path: Path,
        dtype: torch.dtype = torch.float32,
        outputs: list[str] | None = None,
    ) -> None:
        description = json.loads(Path(path).read_text())
        self._dtype = dtype
        self._nodes = {node["name"]: node for node in description["modelTopology"]["node"]}
        self._constants = read_weights(description["weightsManifest"], Path(path).parent)
        self.outputs = [name.split(":")[0] for name in outputs or _signature(description)]
        self._users: dict[str, list[str]] = {}
        for node in self._nodes.values():
            for name in _inputs(node):
                self._users.setdefault(name, []).append(node["name"])
        self._alias: dict[str, str] = {}
        self._steps: list[tuple[str, list[str], Step]] = []
        for name in self._sorted():
            self._compile(name)
        self._last_use = {
            name: index for index, (_, names, _) in enumerate(self._steps) for name in names
        }

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Run (B, C, H, W) through the graph; returns float32 outputs by node name."""
        x = x.to(self._dtype, memory_format=torch.channels_last)
        values = {self._input: x}
        keep = {self._resolve(name) for name in self.outputs}
        for index, (name, inputs, step) in enumerate(self._steps):
            values[name] = step(*(values[i] for i in inputs))
            for i in set(inputs):
                if self._last_use[i] == index and i not in keep:
                    del values[i]
        return {name: values[self._resolve(name)].float() for name in self.outputs}

    def _resolve(self, name: str) -> str:
        while name in self._alias:
            name = self._alias[name]
        return name

    def _sorted(self) -> list[str]:
        order: dict[str, None] = {}
        stack = list(reversed(self.outputs))
        while stack:
            waiting = [i for i in _inputs(self._nodes[stack[-1]]) if i not in order]
            if waiting:
                stack.extend(waiting)
            else:
                order[stack.pop()] = None
        return list(order)

    def _compile(self, name: str) -> None:
        node = self._nodes[name]
        op, inputs = node["op"], _inputs(node)
        if op == "Const" or name in self._alias:
            return
        if op == "Placeholder":
            self._input = name
            return
        if op in ("Identity", "StopGradient"):
            self._alias[name] = inputs[0]
            return
        live = [self._resolve(i) for i in inputs if i not in self._constants]
        if op in ("Conv2D", "_FusedConv2D", "DepthwiseConv2dNative"):
            self._steps.append((name, live[:1], self._convolution(name, node, inputs)))
        else:
            fixed = [self._constants[i] for i in inputs if i in self._constants]
            self._steps.append((name, live, operation(op, node, fixed, self._dtype)))

    def _next_constant(self, name: str, ops: tuple[str, ...]) -> tuple[str, Tensor] | None:
        """The only user of `name`, when it is one of `ops` with a constant beside it."""
        users = self._users.get(name, [])
        if len(users) != 1 or name in self.outputs or self._nodes[users[0]]["op"] not in ops:
            return None
        other = [i for i in _inputs(self._nodes[users[0]]) if i != name]
        if len(other) != 1 or other[0] not in self._constants:
            return None
        return users[0], self._constants[other[0]]

    def _convolution(self, name: str, node: dict, inputs: list[str]) -> Step:
        depthwise = node["op"] == "DepthwiseConv2dNative"
        kernel = self._constants[inputs[1]]
        weight = depthwise_kernel(kernel) if depthwise else dense_kernel(kernel)
        bias = torch.zeros(weight.shape[0])
        groups = kernel.shape[2] if depthwise else 1
        extra = [self._constants[i] for i in inputs[2:]]
        activations = []
        for fused in read_strings(node, "fused_ops"):
            if fused == "BiasAdd":
                bias = bias + extra.pop(0).flatten()
            else:
                activations.append(activation(fused, extra, self._dtype))
        last, foldable = name, ("Mul", "Add", "AddV2", "BiasAdd")
        while not activations and (found := self._next_constant(last, foldable)):
            last, constant = found
            constant = constant.flatten()
            if self._nodes[last]["op"] == "Mul":
                weight, bias = weight * constant.view(-1, 1, 1, 1), bias * constant
            else:
                bias = bias + constant
            self._alias[last] = name
        weight = weight.to(self._dtype, memory_format=torch.channels_last)
        bias = bias.to(self._dtype)
        stride, same = read_number(node, "strides"), read_string(node, "padding") == "SAME"

        def run(x: Tensor) -> Tensor:
            y = convolve(x, weight, bias, stride, same, groups)
            for activate in activations:
                y = activate(y)
            return y

        return run


def _inputs(node: dict) -> list[str]:
    names = (name for name in node.get("input", []) if not name.startswith("^"))
    return [name.split(":")[0] for name in names]


def _signature(description: dict) -> list[str]:
    signature = description.get("signature")
    signature = signature or description["userDefinedMetadata"]["signature"]
    return [output["name"] for output in signature["outputs"].values()]
