"""Downloads through the real Hub client, from a server in this process."""

from __future__ import annotations

import hashlib
from itertools import repeat
from pathlib import Path

import pytest

from tests.weights.house import COMMIT, CONTENT, House, record
from tests.weights.hub import TOKEN, Hub, told

FETCHING = "Fetching a.bin (0.0 MB) from the Hub repository some/net: MIT."


def waited(err: str) -> float:
    return sum(float(line.split()[1]) for line in err.splitlines() if line.startswith("waited"))


def stored(hub: Hub) -> list[bytes]:
    return [path.read_bytes() for path in (hub.home / "hub").rglob("*.bin") if path.is_file()]


def test_a_file_is_fetched_once_and_from_the_mirror(house: House, hub: Hub) -> None:
    assert told(house, hub) == ("a\n", f"{FETCHING}\n")
    assert set(hub.asked) == {f"{how} /some/net/resolve/{COMMIT}/a.bin" for how in ("HEAD", "GET")}
    hub.asked.clear()
    assert told(house, hub) == ("a\n", "")  # a file at a pinned commit costs no request
    assert told(house, hub, HF_HUB_OFFLINE="1") == ("a\n", "")
    assert hub.asked == []


def test_offline_without_the_file(house: House, hub: Hub) -> None:
    out, err = told(house, hub, HF_HUB_OFFLINE="1")
    assert "Could not fetch a.bin of some/net at 01234567: HF_HUB_OFFLINE is set. Unset" in out
    assert out.count("\n") == 1 and out.endswith("SDFLOW_WEIGHTS_DIR names.\n")
    assert hub.asked == [] and waited(err) < 60


def test_a_hub_that_cannot_be_reached(house: House, hub: Hub) -> None:
    out, err = told(house, hub, HF_ENDPOINT="http://127.0.0.1:9")
    assert "Could not fetch a.bin of some/net" in out and "Check the connection" in out
    assert out.count("\n") == 1 and out.endswith("SDFLOW_WEIGHTS_DIR names.\n")
    assert 0 < waited(err) < 60


def test_a_repository_that_the_hub_does_not_show(house: House, hub: Hub) -> None:
    house.entries[-1]["source"]["repository"] = "some/other"
    house.write()
    out, err = told(house, hub)
    assert "The Hub shows this machine no a.bin of some/other" in out, err
    assert out.endswith("names.\n") and waited(err) == 0


def test_a_private_repository_is_opened_by_a_token(house: House, hub: Hub) -> None:
    hub.repositories["some/net"].private = True
    out, _ = told(house, hub)
    assert "If it is private run `hf auth login`" in out
    assert told(house, hub, HF_TOKEN=TOKEN) == ("a\n", f"{FETCHING}\n")


def test_a_server_that_recovers(house: House, hub: Hub) -> None:
    hub.troubles = {"HEAD": iter(["500", "500"]), "GET": iter(["500", "cut"])}
    out, err = told(house, hub)
    assert out == "a\n" and "Trying again in 1 s." in err
    waits = [line for line in err.splitlines() if line.startswith("waited")]
    assert waits[:2] == ["waited 1", "waited 2"]  # longer each time
    assert stored(hub) == [CONTENT["a.bin"]]


@pytest.mark.parametrize(
    ("method", "trouble"),
    [("HEAD", "500"), ("HEAD", "hang"), ("GET", "500"), ("GET", "cut"), ("GET", "stall")],
)
def test_a_server_that_does_not_recover(house: House, hub: Hub, method: str, trouble: str) -> None:
    hub.troubles = {method: repeat(trouble)}
    out, err = told(house, hub, HF_HUB_ETAG_TIMEOUT="1", HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert "Could not fetch a.bin of some/net" in out, err
    assert out.count("\n") == 1 and out.endswith("SDFLOW_WEIGHTS_DIR names.\n")
    assert waited(err) < 60 and stored(hub) == []


def test_a_server_that_lies(house: House, hub: Hub) -> None:
    hub.troubles = {"GET": repeat("other")}
    out, err = told(house, hub)
    assert "instead of" in out and "It was removed" in out, err
    assert stored(hub) == [] and err.splitlines() == [FETCHING] * 2
    hub.troubles = {"GET": iter(["other"])}
    assert told(house, hub)[0] == "a\n"  # damaged on its way, once


def test_other_content_than_the_recorded(house: House, hub: Hub) -> None:
    hub.repositories["some/net"].commits[COMMIT]["a.bin"] = b"x" * 3000
    out, err = told(house, hub)
    assert "instead of" in out and "It was removed" in out, err
    assert stored(hub) == []


@pytest.mark.parametrize("half", ["blob", "link", "whole"])
def test_a_half_filled_cache(house: House, hub: Hub, half: str) -> None:
    folder = hub.home / "hub" / "models--some--net"
    blob = folder / "blobs" / hashlib.sha256(CONTENT["a.bin"]).hexdigest()
    link = folder / "snapshots" / COMMIT / "a.bin"
    blob.parent.mkdir(parents=True)
    blob.with_name(f"{blob.name}.abcd.incomplete").write_bytes(b"a")
    if half in ("blob", "whole"):
        blob.write_bytes(CONTENT["a.bin"][:1000])
    if half in ("link", "whole"):
        link.parent.mkdir(parents=True)
        link.symlink_to(Path("..", "..", "blobs", blob.name))
    out, err = told(house, hub)
    assert out == "a\n", err
    assert link.read_bytes() == CONTENT["a.bin"]


def test_a_cache_that_cannot_be_written(house: House, hub: Hub) -> None:
    told(house, hub)
    folders = [hub.home, *(path for path in hub.home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    assert told(house, hub, bound=True) == ("a\n", "")
    hub.repositories["some/net"].commits[COMMIT]["b.bin"] = CONTENT["b.bin"]
    house.entries[-1]["files"] = [record("b.bin")]
    house.write()
    out, _ = told(house, hub, bound=True)
    for folder in folders:
        folder.chmod(0o755)
    assert "b.bin of some/net at 01234567 cannot be stored in" in out
    assert "Set HF_HOME to a folder that can be written" in out and out.count("\n") == 1
