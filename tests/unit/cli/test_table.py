"""`laft table` from a folder to files, and what it refuses."""

from pathlib import Path

import pytest

from laft_fairseq.cli import main
from tests import result_files as made


def test_both_files_and_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made.write(tmp_path / "results", seeds=2)
    made.put(tmp_path / "results", "other.json", {})
    markdown, html = tmp_path / "t.md", tmp_path / "t.html"
    words = ["table", str(tmp_path / "results"), "--markdown", str(markdown), "--html", str(html)]
    assert main.main(words) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("41 cells read; verdict: ")
    assert "other.json states no format and is left out" in printed.err
    assert markdown.read_text(encoding="utf-8").startswith("# Synthetic tables\n")
    assert html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results", "t.html", "t.md"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["."], "nothing to write: give --markdown"),
        ([".", "--html", "absent/t.html"], "absent/t.html: no such folder absent; make it first"),
        (["absent", "--html", "t.html"], "absent: no such folder"),
    ],
)
def test_wrong_input_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main.main(["table", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("laft: error: ")
    assert said in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
