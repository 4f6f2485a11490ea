"""Videos: from the face through its edits, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sdflow import marking
from sdflow.commands import morphs
from sdflow.commands.progress import Bar
from sdflow.pipeline import Editor


def test_a_video_to_an_edit(
    run: Callable, editor: Editor, face_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m.mp4"
    arguments = ("--to", "smiling=1", "--seconds", 0.4, "--fps", 10, "-o", output)
    report = run("morph", face_file, *arguments)
    assert report["pictures"] == 4 and report["stops"] == [{"smiling": 1}]
    assert report["output_bytes"] == output.stat().st_size
    with av.open(str(output)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert video.streams.video[0].average_rate == 10
    assert len(frames) == 4 and frames[0].shape == (512, 512, 3)
    ends = [editor.edit(face_file, edit, 512).image for edit in ({}, {"smiling": 1.0})]
    for frame, end in ((frames[0], ends[0]), (frames[-1], ends[1])):
        assert np.abs(frame.astype(int) - np.asarray(end).astype(int)).mean() < 4
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 4
    assert marking.EDITED.encode() in output.read_bytes()


def test_there_and_back(run: Callable, random_file: Path, tmp_path: Path, bars: list[Bar]) -> None:
    output = tmp_path / "m.gif"
    stops = ("--to", "smiling=1", "--to", "young=1")
    run("morph", random_file, *stops, "--seconds", 1, "--fps", 5, "--back", "-o", output)
    assert [(bar.done, bar.total) for bar in bars] == [(3, 3)]  # the way back is the same
    with Image.open(output) as gif:
        frames = [np.asarray(seek(gif, i)) for i in range(gif.n_frames)]
    assert len(frames) == 5
    np.testing.assert_array_equal(frames[0], frames[4])
    np.testing.assert_array_equal(frames[1], frames[3])
    assert (frames[0] != frames[1]).any() and (frames[1] != frames[2]).any()


def seek(gif: Image.Image, number: int) -> Image.Image:
    gif.seek(number)
    return gif.convert("RGB")


def test_a_recipe_tells_where_to(
    run: Callable, random_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, picture = tmp_path / "r.json", tmp_path / "p.png"
    run("edit", random_file, "-s", "yaw=1", "--size", 512, "-o", picture, "--save-recipe", recipe)
    report = run("morph", recipe, "--seconds", 0.2, "--fps", 10, "-o", tmp_path / "m.gif")
    assert report["stops"] == [{"yaw": 1}]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "as in --to smiling=1"),
        (["--to", "smiling"], "Write it as in -s smiling=0.8"),
        (["--to", "yaw=1", "--fps", "61"], "Give 1 to 60 with --fps"),
        (["--to", "yaw=1", "--fps", "nan"], "Give 1 to 60 with --fps"),
        (["--to", "yaw=1", "--seconds", "0"], "are not 2 to 900 pictures"),
        (["--to", "yaw=1", "--seconds", "inf"], "are not 2 to 900 pictures"),
        (["--to", "yaw=1", "--seconds", "60"], "are not 2 to 900 pictures"),
        (["--to", "yaw=1", "-o", "m.avi"], "End the name in one of: .mp4, .gif"),
    ],
)
def test_what_is_wrong(
    fails: Callable, random_file: Path, options: list[str], reason: str
) -> None:
    assert reason in fails("morph", random_file, *options)


def test_the_suffixes_are_those_of_video() -> None:
    from sdflow import video

    assert morphs.VIDEOS == video.VIDEOS
