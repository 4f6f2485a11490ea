"""The command of the README that makes a Space: by the real client to a hub on this machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.weights.house import put
from tests.weights.hub import OWNER, TOKEN, Hub

ROOT = Path(__file__).parents[2]
UNKNOWN_TO_GIT = shutil.ignore_patterns(
    ".git", "__pycache__", ".*_cache", ".venv", "*.pyi", "*.part", ".gradio", "runs", "outputs"
)


def test_the_upload_is_a_space_that_starts(hub: Hub, tmp_path: Path) -> None:
    checkout = shutil.copytree(ROOT, tmp_path / "checkout", ignore=UNKNOWN_TO_GIT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^hf upload OWNER/NAME .*", text, re.MULTILINE)
    words = shlex.split(command.replace("OWNER/NAME", f"{OWNER}/sdflow"), comments=True)
    words[0] = str(Path(sys.executable).with_name("hf"))
    environment = os.environ | hub.environment | {"HF_TOKEN": TOKEN}
    done = subprocess.run(
        words, cwd=checkout, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    space = hub.repositories[f"{OWNER}/sdflow"]
    _, files = space.at("main")
    assert space.sdk == "gradio"
    assert {"README.md", "app.py", "requirements.txt", "packages.txt", "NOTICE"} <= files.keys()
    assert not [name for name in files if name.startswith(("tests/", ".ci/"))]
    for name, content in files.items():
        put(tmp_path / "space" / name, content)
    # what a Space does first; whatever is missing here would end it
    code = "import app; from sdflow.selection import shipped_attributes; "
    code += "from sdflow.weights import read_manifest, damage, find; "
    code += "own = [e for e in read_manifest().values() if e.source is None]; "
    code += "print(len(shipped_attributes()), len(app.EXAMPLES), len(own), "
    code += "[damage(find(e, f)[1], f) for e in own for f in e.files if e.use == 'runtime'])"
    started = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "space", timeout=120, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    attributes, examples, own, damages = started.stdout.split(maxsplit=3)
    assert int(attributes) == 11 and int(examples) > 0 and int(own) > 3
    assert set(re.findall(r"[^\[\], \n]+", damages)) == {"None"}
