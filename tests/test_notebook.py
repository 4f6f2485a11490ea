"""The playground notebook, from start to end, against the pictures that are kept in it.

After a change of the notebook, `python tests/test_notebook.py` runs it and keeps the new pictures.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "examples/SDFlow_playground.ipynb"
LARGEST = 350_000  # bytes
CLOSE = 2.5  # mean difference in grey levels: another processor draws a little differently
REFINED = ("inversion", "edit", "photo", "paste", "several", "transfer")  # and refines more so
CLOSE_REFINED = 8.0  # without AMX up to 4.4; another face is 34 and more away
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(notebook: NotebookNode) -> NotebookNode:
    """A copy of the notebook with outputs made now, and nothing of this machine in it."""
    fresh = nbformat.from_dict(notebook)
    for cell in fresh.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    client = NotebookClient(fresh, timeout=600, kernel_name="python3", record_timing=False,
                            coalesce_streams=True, resources=resources)  # fmt: skip
    client.execute()
    fresh.metadata = nbformat.from_dict(METADATA)
    return fresh


def pictures(notebook: NotebookNode) -> dict[str, Image.Image]:
    """Pictures by the id of their cell."""
    return {
        cell.id: Image.open(io.BytesIO(base64.b64decode(output.data["image/jpeg"])))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/jpeg" in output.get("data", {})
    }


@pytest.fixture(scope="module")
def kept() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_kept_notebook_is_whole_and_clean(kept: NotebookNode) -> None:
    nbformat.validate(kept)
    assert NOTEBOOK.stat().st_size <= LARGEST
    assert kept.metadata == METADATA
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(cell.metadata == {} for cell in kept.cells)
    texts = [text for cell in code for text in outputs_as_text(cell)]
    assert not [text for text in texts if re.search(r"(^|[\s'\"])/\w+/", text)]  # no paths
    drawing = {cell.id for cell in code if re.search(r"^show(_row)?\(", cell.source, re.M)}
    assert drawing == set(pictures(kept)) and len(drawing) >= 10


def test_it_runs_from_start_to_end(
    kept: NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(folder, str(tmp_path / folder))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # threads wait for those of other tests
    fresh = execute(kept)
    outputs = [output for cell in fresh.cells for output in cell.get("outputs", [])]
    assert not [x for x in outputs if x.output_type == "error" or x.get("name") == "stderr"]
    before, now = pictures(kept), pictures(fresh)
    assert before.keys() == now.keys()
    for name, picture in now.items():
        assert picture.size == before[name].size, name
        old, new = (np.asarray(x, dtype=np.float32) for x in (before[name], picture))
        assert np.abs(old - new).mean() < (CLOSE_REFINED if name in REFINED else CLOSE), name


def outputs_as_text(cell: NotebookNode) -> list[str]:
    """What a cell printed or returned."""
    return [output.get("text", "") + output.get("data", {}).get("text/plain", "")
            for output in cell.outputs]  # fmt: skip


if __name__ == "__main__":
    nbformat.write(execute(nbformat.read(NOTEBOOK, as_version=4)), NOTEBOOK)
