"""Progress: a line on a terminal, nothing in a pipe."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from PIL import Image

from sdflow.commands import progress
from sdflow.commands.progress import Bar, duration, end_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.setenv("COLUMNS", "60")
    return stream


def test_a_bar_is_one_line_that_ends_with_the_work(terminal: Terminal) -> None:
    bar = Bar("morph", 4)
    assert terminal.getvalue() == "\rmorph [....................] 0 of 4\x1b[K"
    render = bar.counting(lambda strengths: Image.new("RGB", (1, 1), strengths["colour"]))
    assert render({"colour": "red"}).getpixel((0, 0)) == (255, 0, 0)
    assert "\rmorph [#####...............] 1 of 4, " in terminal.getvalue()
    bar.advance("1 failed")
    assert "2 of 4, 1 failed, 0 s left" in terminal.getvalue()
    bar.advance("x" * 100)
    assert max(map(len, terminal.getvalue().split("\r"))) <= 59 + len("\x1b[K")
    assert "\n" not in terminal.getvalue()
    bar.advance()
    assert terminal.getvalue().endswith("4 of 4\x1b[K\n")
    end_line()
    assert terminal.getvalue().count("\n") == 1  # there was no open line


def test_words_do_not_run_into_a_bar(terminal: Terminal) -> None:
    Bar("batch", 2).advance()
    end_line()
    end_line()
    assert terminal.getvalue().endswith("left\x1b[K\n")


def test_nothing_to_do_is_not_shown(terminal: Terminal) -> None:
    Bar("batch", 0)
    assert terminal.getvalue() == ""


def test_a_pipe_stays_clean(capsys: pytest.CaptureFixture[str]) -> None:
    Bar("batch", 2).advance()
    end_line()
    assert capsys.readouterr().err == ""


def test_durations() -> None:
    told = [duration(seconds) for seconds in (3.4, 89, 100, 3600, 9000)]
    assert told == ["3 s", "89 s", "2 min", "60 min", "2.5 h"]
