"""The committed results: pages are made of their cells, and the documents quote the pages."""

import re
from pathlib import Path

import pytest

from laft_fairseq.cli import main
from tests.house import shipped

RESULTS = shipped.REPOSITORY / "docs" / "results"
FOLDERS = sorted(path.parent for path in RESULTS.glob("*/cells.jsonl.xz"))
NUMBER = r"([+−]?\d+\.\d)"
QUOTED = re.compile(rf"{NUMBER} \({NUMBER} to {NUMBER}\)")
# On the pages: a mean and its interval beneath, or a difference in hundredths and the next cell.
MEAN = re.compile(rf"{NUMBER}\**<br><small>\\\[{NUMBER}, {NUMBER}\\\]")
DIFFERENCE = re.compile(
    r"([+−]\d+\.\d\d)\**(?: \||<br>.*?\|) \\\[([+−]\d+\.\d\d), ([+−]\d+\.\d\d)\\\]"
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_page_is_what_its_cells_make(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    page = tmp_path / "tables.md"
    assert main.main(["table", "cells.jsonl.xz", "--markdown", str(page)]) == 0
    text = re.sub(r"\([^()]*figure2\.png\)", "(figure2.png)", page.read_text())
    assert text == (folder / "tables.md").read_text()


def value(number: str) -> float:
    return float(number.replace("−", "-"))


def quotes(quoted: tuple[str, ...], page: tuple[str, ...]) -> bool:
    """Whether the three numbers are the page's, rounded to tenths."""
    pairs = zip(quoted, page, strict=True)
    return all(abs(value(one) - value(other)) < 0.0501 for one, other in pairs)


@pytest.mark.parametrize("name", ["README.md", "docs/reproduce.md"])
def test_documents_quote_the_pages(name: str) -> None:
    """Each mean or difference with an interval, in the tables of the section with the results."""
    pages = "\n".join((folder / "tables.md").read_text() for folder in FOLDERS)
    known = {*MEAN.findall(pages), *DIFFERENCE.findall(pages)}
    text = (shipped.REPOSITORY / name).read_text()
    section = re.search(r"^##+ (?:Results|The long runs)\n(.*?)^##+ ", text, re.M | re.S)
    assert section
    rows = [line for line in section[1].splitlines() if line.startswith("|")]
    quoted = [found for row in rows for found in QUOTED.findall(row)]
    assert len(quoted) >= 10
    assert [found for found in quoted if not any(quotes(found, each) for each in known)] == []
