"""Reads the constants of an OpenVINO IR version 10 model, an .xml and a .bin, without OpenVINO."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import torch


def read_constants(graph: Path, data: Path) -> dict[str, torch.Tensor]:
    """Reads every float32 constant of an IR model, in the order of the layers' ids.

    Args:
        graph: the .xml file, which names each constant and says where its bytes lie.
        data: the .bin file, raw little-endian values in C order.

    Returns:
        name → tensor. The name is the original parameter's where the exporter kept it (the output
        port's ``names``), otherwise the layer's id.

    Raises:
        ValueError: a constant reaches past the end of the .bin file.
    """
    raw = data.read_bytes()
    layers = ElementTree.parse(graph).getroot().iter("layer")
    constants = {}
    for layer in sorted(layers, key=lambda layer: int(layer.get("id", 0))):
        description = layer.find("data")
        if layer.get("type") != "Const" or description.get("element_type") != "f32":
            continue
        offset, size = int(description.get("offset")), int(description.get("size"))
        if offset + size > len(raw):
            raise ValueError(f"{data.name} ends before {layer.get('name')}: fetch it again.")
        shape = [int(n) for n in description.get("shape", "").split(",") if n.strip()]
        # Offsets are not aligned, so the bytes are copied rather than viewed.
        values = np.frombuffer(raw[offset : offset + size], dtype="<f4").reshape(shape).copy()
        constants[layer.find("output/port").get("names") or layer.get("id")] = torch.from_numpy(
            values
        )
    return constants
