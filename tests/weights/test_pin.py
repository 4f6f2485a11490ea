"""Files of the Hub that are not pinned: told about, and recorded by `weights pin`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import metadata_load

from sdflow import checkpoints, manifest, weights
from sdflow.commands.card import card_path, models, preloads, record_preloads
from sdflow.weights import WeightsError
from tests.weights.house import COMMIT, CONTENT, House, put, record
from tests.weights.hub import Hub, run, told
from tests.weights.published import published, save

LATER = "f" * 40


@pytest.fixture
def unpinned(house: House) -> House:
    """A house that knows repository and name of its Hub file only, and has an unpublished one."""
    house.entries[-1]["source"].pop("commit")
    house.entries[-1]["files"] = [{"name": "a.bin"}]
    house.entries[-1]["use"] = "full-size"
    mine = {"name": "mine", "use": "full-size", "licence": "none", "source": {"kind": "hub"}}
    house.entries.append({**mine, "files": [{"name": "b.bin"}]})
    house.write()
    return house


def test_pin_records_and_shows_what_changes(unpinned: House, hub: Hub) -> None:
    before = manifest.read_manifest()
    ran = run(unpinned, hub, "pin")
    assert ran.returncode == 0, ran.stderr
    assert (
        f"commit: not recorded → {COMMIT}" in ran.stdout and "Not on the Hub: mine." in ran.stdout
    )
    entry = manifest.find_entry("hub")
    expected = record("a.bin")
    assert entry.is_pinned and entry.source == manifest.HubCommit("some/net", COMMIT)
    assert entry.files == (manifest.WeightFile(**expected),)
    after = manifest.read_manifest()
    assert list(after) == list(before)
    assert all(after[name] == before[name] for name in before if name != "hub")
    assert told(unpinned, hub)[1].count("\n") == 1  # fetched, and nothing to say of it

    hub.repositories["some/net"].commits[LATER] = {"a.bin": CONTENT["b.bin"]}
    ran = run(unpinned, hub, "pin")  # what is pinned stays
    assert "All that is on the Hub is pinned." in ran.stdout
    assert manifest.find_entry("hub") == entry
    ran = run(unpinned, hub, "pin", "hub", "--json")
    (row,) = json.loads(ran.stdout)["files"]
    assert row["was"]["commit"] == COMMIT and row["commit"] == LATER
    assert (row["was"]["size"], row["size"]) == (3000, 2000)
    assert manifest.find_entry("hub").files[0].size == 2000


def test_the_space_card_names_what_a_space_loads_before_it_starts(
    unpinned: House, hub: Hub
) -> None:
    card = put(card_path(), b"---\ntitle: A Space\npreload_from_hub:\n- old a.bin\n---\n# Text\n")
    assert card.parent == unpinned.repository.parent
    assert run(unpinned, hub, "pin").returncode == 0
    matter = {"title": "A Space", "models": ["some/net"]}
    assert metadata_load(card) == matter | {"preload_from_hub": [f"some/net a.bin {COMMIT}"]}
    assert card.read_text().endswith("---\n# Text\n")
    unpinned.entries[-2]["licence"] = "none stated by its authors"  # its owner keeps it private
    unpinned.write()
    assert record_preloads() and metadata_load(card) == {"title": "A Space"}
    card.unlink()
    assert not record_preloads() and not card.exists()


def test_the_card_of_this_repository_is_up_to_date() -> None:
    entries = list(manifest.read_manifest().values())
    matter = metadata_load(Path(__file__).parents[2] / "README.md")
    assert matter["models"] == models(entries) and len(matter["models"]) == 2
    assert matter.get("preload_from_hub", []) == preloads(entries)


def test_a_small_file_is_read_for_its_hash(unpinned: House, hub: Hub) -> None:
    unpinned.entries[-2]["files"] = [{"name": "c.dat"}]  # the hub knows git's hash of it only
    unpinned.write()
    hub.repositories["some/net"].commits[COMMIT]["c.dat"] = CONTENT["c.dat"]
    assert run(unpinned, hub, "pin").returncode == 0
    assert manifest.find_entry("hub").files == (manifest.WeightFile(**record("c.dat")),)


@pytest.mark.parametrize("problem", ["private", "offline", "file", "not on the Hub", "own"])
def test_what_cannot_be_pinned_changes_nothing(unpinned: House, hub: Hub, problem: str) -> None:
    before = manifest.read_manifest()
    names = {"not on the Hub": ["hub", "mine"], "own": ["own"]}.get(problem, [])
    if problem == "private":
        hub.repositories["some/net"].private = True
    elif problem == "file":
        hub.repositories["some/net"].commits[COMMIT] = {}
    elif problem == "offline":
        hub.environment["HF_HUB_OFFLINE"] = "1"
    ran = run(unpinned, hub, "pin", *names, token="")
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1 and ran.stderr.endswith(".\n")
    expected = {"offline": "HF_HUB_OFFLINE is set", "not on the Hub": "weights publish"}
    assert expected.get(problem, "Hub") in ran.stderr
    assert manifest.read_manifest() == before


def test_an_unpinned_file_is_used_but_not_silently(unpinned: House, hub: Hub) -> None:
    out, err = told(unpinned, hub)
    assert out == "a\n"
    assert "hub is not pinned: taking some/net as it is now, at 01234567. To record it run" in err
    hub.repositories["some/net"].commits[LATER] = {"a.bin": CONTENT["b.bin"]}
    out, err = told(unpinned, hub)
    assert out == "b\n" and "at ffffffff" in err
    out, err = told(unpinned, hub, HF_HUB_OFFLINE="1")
    assert "Could not look up a.bin of some/net: HF_HUB_OFFLINE is set." in out


def test_fetching_an_unpinned_file_by_name_pins_it(unpinned: House, hub: Hub) -> None:
    ran = run(unpinned, hub, "fetch", "hub")
    assert ran.returncode == 0 and f"commit: not recorded → {COMMIT}" in ran.stdout, ran.stderr
    assert manifest.find_entry("hub").is_pinned and "not pinned" not in ran.stderr
    assert told(unpinned, hub, HF_HUB_OFFLINE="1") == ("a\n", "")


def test_an_unpinned_file_is_still_checked_against_the_hub(unpinned: House, hub: Hub) -> None:
    hub.troubles = {"GET": iter(["other"] * 9)}
    out, _ = told(unpinned, hub)
    assert "instead of" in out and "It was removed" in out


def test_a_file_that_nobody_published(
    unpinned: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    del unpinned
    with pytest.raises(WeightsError, match="not on the Hub.*weights convert.*WEIGHTS_DIR"):
        weights.path("mine")
    mine = put(tmp_path / "mine" / "b.bin", CONTENT["b.bin"])
    monkeypatch.setenv("SDFLOW_WEIGHTS_DIR", str(mine.parent))
    assert weights.path("mine") == mine == weights.path("mine")
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "is taken as it is: no sha256 of mine is recorded" in err


def test_a_converted_file_stands_for_the_published_one(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save(published("flow_a3"), tmp_path / "published.pt")
    made, _ = checkpoints.convert(source, tmp_path / "mine")
    monkeypatch.setenv("SDFLOW_WEIGHTS_DIR", str(made.parent))
    file = record(source.name, content=source.read_bytes())
    entry = {**house.entries[-1], "name": "flow_a3", "use": "full-size", "files": [file]}
    house.entries.append(entry)
    house.write()
    assert weights.find(manifest.find_entry("flow_a3"), manifest.WeightFile(**file))
    assert weights.path("flow_a3") == made and checkpoints.load("flow_a3").name == "flow_a3"
    monkeypatch.setattr(weights, "_checked", set())
    file["sha256"] = "0" * 64
    house.write()
    with pytest.raises(WeightsError, match=r"converted from sha256 .*, not 0{12}…. Replace it"):
        weights.path("flow_a3")


def test_verbs_with_unpinned_entries(unpinned: House, hub: Hub, tmp_path: Path) -> None:
    for name, content in CONTENT.items():
        put(unpinned.repository / name, content)
    put(tmp_path / "mine" / "b.bin", CONTENT["b.bin"])
    hub.environment["SDFLOW_WEIGHTS_DIR"] = str(tmp_path / "mine")
    out = run(unpinned, hub, "status").stdout
    assert "repository, not pinned" in out and "folder, not pinned" in out
    ran = run(unpinned, hub, "fetch")  # what users need: nothing of the full-size models
    assert ran.returncode == 0 and hub.asked == []
    ran = run(unpinned, hub, "verify")
    assert ran.returncode == 0 and "was not checked: mine is not pinned" in ran.stderr


@pytest.mark.parametrize("kind", ["repository", "pypi"])
def test_only_files_of_the_hub_may_be_unpinned(house: House, kind: str) -> None:
    entry = house.entries[0 if kind == "repository" else 1]
    del entry["files"][0]["sha256"]
    house.write()
    with pytest.raises(WeightsError, match="malformed"):
        manifest.read_manifest()
