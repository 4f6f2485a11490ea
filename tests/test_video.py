"""Morphs and the files that they are written to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sdflow import marking
from sdflow.morph import between, morph
from sdflow.video import save_video


def grey(strengths: Mapping[str, float]) -> Image.Image:
    """A stand-in for a face: the brighter, the more it smiles."""
    return Image.new("RGB", (64, 64), (round(200 * strengths.get("smiling", 0)) + 20,) * 3)


def levels(frames: list[Image.Image]) -> list[int]:
    return [int(np.asarray(frame.convert("L")).mean().round()) for frame in frames]


STOPS = [{}, {"smiling": 1.0}, {"young": -1.0}]
FRAMES = list(morph(grey, STOPS, 11))


def test_a_morph_passes_all_stops_and_rests_there() -> None:
    seen = levels(FRAMES)
    assert len(seen) == 11 and (seen[0], seen[5], seen[10]) == (20, 220, 20)
    assert seen[:6] == sorted(seen[:6]) and seen[5:] == sorted(seen[5:], reverse=True)
    assert seen[1] - seen[0] < seen[3] - seen[2]  # slower near a stop
    assert between({"smiling": 1}, {"young": -1}, 0.25) == {"smiling": 0.75, "young": -0.25}


def test_a_morph_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more"):
        morph(grey, [{}], 10)
    with pytest.raises(ValueError, match="at least as many"):
        morph(grey, STOPS, 2)


def test_an_mp4_plays_everywhere_and_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "made" / "morph.mp4"
    assert save_video(iter(FRAMES), file, 10) == file.stat().st_size
    data = file.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before all of it is there
    assert data.endswith(marking.mp4_box(marking.EDITED))
    with av.open(str(file)) as video:
        assert video.metadata["comment"] == marking.SENTENCE[marking.EDITED]
        track = video.streams.video[0]
        assert (track.codec_context.name, track.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (track.width, track.height, track.average_rate) == (64, 64, 10)
        seen = levels([frame.to_image() for frame in video.decode(video=0)])
    assert np.abs(np.subtract(seen, levels(FRAMES))).max() <= 4


def test_a_gif_plays_for_ever_and_says_what_it_is(tmp_path: Path) -> None:
    save_video(FRAMES, tmp_path / "morph.gif", 10, marking.GENERATED)
    with Image.open(tmp_path / "morph.gif") as video:
        assert (video.info["loop"], video.info["duration"]) == (0, 100)
        assert video.info["comment"].decode() == marking.SENTENCE[marking.GENERATED]
        assert video.n_frames == 11
        seen = []
        for frame in range(video.n_frames):
            video.seek(frame)
            seen.append(video.convert("RGB"))
    assert np.abs(np.subtract(levels(seen), levels(FRAMES))).max() <= 8


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.gif"):
        with pytest.raises(ValueError, match="no pictures"):
            save_video([], tmp_path / name)
    with pytest.raises(ValueError, match="Name a .mp4 or .gif"):
        save_video(FRAMES, tmp_path / "a.avi")
    for fps in (0, 61):
        with pytest.raises(ValueError, match="Give 1 to 60"):
            save_video(FRAMES, tmp_path / "a.mp4", fps)
    assert not list(tmp_path.iterdir())
