"""`laft table` from a folder to files, and what it refuses."""

from pathlib import Path

import pytest

from laft_fairseq.cli import main
from tests import result_files as made


def test_all_files_and_from_the_packed_one_the_same_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made.write(tmp_path / "results", seeds=2)
    made.put(folder, "other.json", {})
    markdown, html, cells = (tmp_path / f"t.{kind}" for kind in ("md", "html", "jsonl.xz"))
    words = ["table", str(folder), "--markdown", str(markdown), "--html", str(html)]
    assert main.main([*words, "--cells", str(cells)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("41 cells read\nwrote ")
    assert "other.json states no format and is left out" in printed.err
    assert html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert {p.name for p in tmp_path.iterdir()} == {"results", "t.html", "t.md", "t.jsonl.xz"}
    (folder / "figure2.png").rename(tmp_path / "figure2.png")
    first = markdown.read_text(encoding="utf-8")
    assert main.main(["table", str(cells), "--markdown", str(markdown)]) == 0
    assert first.startswith("# Synthetic tables\n")
    assert markdown.read_text(encoding="utf-8") == first.replace("results/figure2", "figure2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["."], "nothing to write: give --markdown"),
        ([".", "--html", "absent/t.html"], "absent/t.html: no such folder absent; make it first"),
        (["absent", "--html", "t.html"], "absent: no such folder"),
        ([".", "--cells", "."], ".: a folder; name a file"),
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
