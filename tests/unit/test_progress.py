"""Progress in a log: lines with what is done and the time left, none of what is short."""

import sys

import pytest

from laft_fairseq import progress as module
from laft_fairseq.progress import progress


def test_lines_of_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "LOG_SECONDS", 0)
    with progress("generating", 4, "lines") as bar:
        for _ in range(4):
            bar.update()
    with progress("reading", None, "bytes", scale=True) as bar:
        bar.update(3_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "laft: generating: 1 of 4 lines, 00:00 left"
    assert lines[4] == "laft: generating: 4 of 4 lines, 00:00 left"
    assert lines[-1].startswith("laft: reading: 3.00M bytes, ")


def test_what_is_short_or_disabled_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("generating", 2, "lines") as bar:
        bar.update(2)
    monkeypatch.setattr(module, "LOG_SECONDS", 0)
    with progress("generating", 2, "lines", disable=True) as bar:
        bar.update(2)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("generating", 2, "lines") as bar:
        assert not isinstance(bar, module.LogLines)
