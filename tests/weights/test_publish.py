"""`python -m sdflow weights publish`: converted files to a Hub, and back from there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from huggingface_hub import metadata_load
from safetensors.numpy import load_file, save_file

from sdflow import checkpoints, manifest, weights
from sdflow.commands.card import card_path
from tests.weights.house import House, put
from tests.weights.hub import TOKEN, Hub, run
from tests.weights.published import published, save


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of converted files."""
    folder = tmp_path_factory.mktemp("released")
    for name in ("flow_a3", "flow_a5"):
        checkpoints.convert(save(published(name), folder / "published"), folder)
    (folder / "published").unlink()
    return folder


def licensed(file: Path, folder: Path, licence: str) -> Path:
    """A folder with a converted file whose authors state a licence."""
    told = json.dumps(weights.describe(file) | {"licence": licence})
    folder.mkdir()
    save_file(load_file(file), folder / file.name, {weights.CONVERTED: told})
    return folder


def test_a_folder_is_uploaded_pinned_and_fetched(
    house: House, hub: Hub, released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = manifest.read_manifest()
    ran = run(house, hub, "publish", str(released), "--repo", "someone/nets")
    assert ran.returncode == 0, ran.stderr
    repository = hub.repositories["someone/nets"]
    assert repository.private
    (commit, files), *rest = repository.commits.items()
    assert not rest and f"someone/nets (private) at commit {commit}" in ran.stdout
    assert set(files) == {"README.md", "flow_a3.safetensors", "flow_a5.safetensors"}
    card = files["README.md"].decode()
    told = weights.describe(released / "flow_a5.safetensors")
    assert card.startswith("---\nlicense: other\n") and told["source_sha256"] in card
    assert "Eyeglasses, Male, Smiling, Wavy_Hair, Young" in card and "none stated" in card

    entries = manifest.read_manifest()
    assert {name: entries[name] for name in before} == before
    for name in ("flow_a3", "flow_a5"):
        content = (released / f"{name}.safetensors").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        file = manifest.WeightFile(f"{name}.safetensors", len(content), digest)
        source = manifest.HubCommit("someone/nets", commit, private=True)
        assert entries[name] == manifest.Entry(name, "full-size", told["licence"], source, (file,))
    ran = run(house, hub, "fetch", "flow_a3", "--json")
    fetched = Path(json.loads(ran.stdout)["weights"]["flow_a3"][0])
    assert fetched.read_bytes() == (released / "flow_a3.safetensors").read_bytes()
    assert "not pinned" not in ran.stderr
    ran = run(house, hub, "fetch", "flow_a5", token="")
    assert ran.returncode == 2 and "If it is private run `hf auth login`" in ran.stderr

    ran = run(house, hub, "publish", str(released), "--repo", "someone/nets")  # once more
    assert ran.returncode == 0 and commit in ran.stdout
    assert list(repository.commits) == [commit] and manifest.read_manifest() == entries


def test_a_public_repository_is_only_used_when_asked_for(
    house: House, hub: Hub, released: Path
) -> None:
    ran = run(house, hub, "publish", str(released), "--repo", "someone/nets", "--public")
    assert ran.returncode == 0 and not hub.repositories["someone/nets"].private
    assert "warning: Everybody can now see flow_a3, flow_a5, whose authors state no" in ran.stderr
    commits = list(hub.repositories["someone/nets"].commits)
    ran = run(house, hub, "publish", str(released), "--repo", "someone/nets")
    assert ran.returncode == 2 and "Everybody can see someone/nets. Name a private" in ran.stderr
    assert list(hub.repositories["someone/nets"].commits) == commits


def test_the_space_card_names_only_what_everybody_sees(
    house: House, hub: Hub, released: Path, tmp_path: Path
) -> None:
    card = put(card_path(), b"---\ntitle: A Space\n---\n# Text\n")
    mine = licensed(released / "flow_a3.safetensors", tmp_path / "mine", "MIT")
    publish = ("publish", str(mine), "--repo", "someone/nets")
    assert run(house, hub, *publish).returncode == 0
    entry = manifest.find_entry("flow_a3")
    assert entry.licence == "MIT" and entry.source.private
    assert "someone/nets" not in card.read_text()  # its build has no token

    ran = run(house, hub, *publish, "--public")  # the Hub leaves a repository as private as it was
    assert ran.returncode == 0 and hub.repositories["someone/nets"].private
    assert "someone/nets (private) at commit" in ran.stdout
    assert "warning: someone/nets was private and still is. To show" in ran.stderr
    assert manifest.find_entry("flow_a3").source.private
    assert "someone/nets" not in card.read_text()

    hub.repositories["someone/nets"].private = False
    ran = run(house, hub, *publish, "--public")
    assert ran.returncode == 0 and "someone/nets (everybody sees) at commit" in ran.stdout
    source = manifest.find_entry("flow_a3").source
    assert source == manifest.HubCommit("someone/nets", source.commit)
    line = f"someone/nets flow_a3.safetensors {source.commit}"
    assert line in metadata_load(card)["preload_from_hub"]


@pytest.mark.parametrize(
    ("repository", "token", "told"),
    [
        ("someone/nets", "", "does not let this machine write to someone/nets. Run `hf auth"),
        ("another/nets", TOKEN, "does not let this machine write to another/nets. Run `hf auth"),
        ("nets", TOKEN, "'nets' names no Hub repository. Write it as OWNER/NAME."),
    ],
)
def test_where_this_machine_may_not_write(
    house: House, hub: Hub, released: Path, repository: str, token: str, told: str
) -> None:
    before = manifest.read_manifest()
    ran = run(house, hub, "publish", str(released), "--repo", repository, token=token)
    assert ran.returncode == 2 and told in ran.stderr and ran.stderr.count("\n") == 1
    assert hub.uploaded == {} and manifest.read_manifest() == before


def test_a_manifest_that_cannot_be_written(house: House, hub: Hub, released: Path) -> None:
    house.repository.chmod(0o555)
    publish = ("publish", str(released), "--repo", "someone/nets", "--json")
    ran = run(house, hub, *publish, bound=True)
    house.repository.chmod(0o755)
    report = json.loads(ran.stdout)
    assert "manifest.json cannot be written" in report["warnings"][0]
    assert report["entries"][0]["source"] == {
        "kind": "hub", "repository": "someone/nets", "commit": report["commit"], "private": True
    }  # fmt: skip
    assert "flow_a3" not in manifest.read_manifest()


@pytest.mark.parametrize("problem", ["empty", "none", "foreign", "renamed"])
def test_a_folder_of_something_else(
    house: House, hub: Hub, released: Path, tmp_path: Path, problem: str
) -> None:
    folder = tmp_path / "folder"
    if problem != "none":
        folder.mkdir()
    content = (released / "flow_a3.safetensors").read_bytes()
    if problem == "foreign":
        (folder / "flow_a3.safetensors").write_bytes(content[:1000])
    elif problem == "renamed":
        (folder / "flow.safetensors").write_bytes(content)
    ran = run(house, hub, "publish", str(folder), "--repo", "someone/nets")
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1 and str(folder) in ran.stderr
    assert "someone/nets" not in hub.repositories and hub.asked == []
