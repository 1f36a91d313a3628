"""What stands on the page, in both renderings; the numbers are made up."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from laft_fairseq.cli import parameters
from laft_fairseq.errors import LaftError
from laft_fairseq.methods import METHODS
from laft_fairseq.tables import charts, html, markdown, names
from laft_fairseq.tables.document import Table
from tests import result_files as made
from tests.page_parts import built, rows, section

VOID = {"meta", "img", "line", "circle", "path", "polyline", "br"}


class Balanced(HTMLParser):
    """Counts what is opened and never closed, and collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.langs: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.references += [str(given[key]) for key in ("src", "href") if key in given]
        if "lang" in given:
            self.langs.add(str(given["lang"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write(tmp_path_factory.mktemp("results"))


def test_ours_stands_beside_the_papers(folder: Path) -> None:
    found = section(built(folder), "tables").children
    one, two, three = (node for node in found if isinstance(node, Table))
    table = one.rows[1 : 1 + len(METHODS)]
    by_title = {row[0].text: row for row in table if not isinstance(row, str)}
    full = by_title["mBART (full)"]
    mean = sum(sum(made.items(22.0, seed)) / made.N for seed in (1, 2, 3)) / 3
    assert [e.text for e in full[1:5]] == ["12.00M", f"{mean:.1f}", "98.0 %", "not transcribed"]
    assert re.fullmatch(r"\[\d\d\.\d, \d\d\.\d\]\n3 seeds", full[2].note)
    laft = next(row for row in one.rows if not isinstance(row, str) and row[0].text == "LAFT")
    assert (laft[4].text, laft[7].text, laft[2].strong) == ("12.34", "–", True)
    blocks = [row for row in one.rows if isinstance(row, str)]
    assert blocks[1].endswith("Chinese: not testable here, no translation engine, 205 human pairs")
    assert rows(one)["LEAD-1 (first sentence)"][1] == "27.0"
    assert rows(two)["mBART (full)"][1] == "not testable here"  # of the last block
    assert rows(three)["LAFT, without fusion"][1] == "not run"
    assert rows(three)["LAFT, without removal"][-1].startswith("−")


def test_papers_numbers_that_nobody_listed_are_not_transcribed(tmp_path: Path) -> None:
    planned = made.experiment(paper={"cells": []}, budget={"stage1_seeds": 1}) | {
        "not_testable": [{"setting": "questions", "lang": "zh_CN", "reason": "no pairs"}]
    }
    made.put(tmp_path, "experiment.json", planned)
    found = built(tmp_path)
    one, two, three = (n for n in section(found, "tables").children if isinstance(n, Table))
    of_each_language = ["not run", "–", "not transcribed"]
    assert rows(one)["mBART (full)"] == ["–", *of_each_language, *of_each_language]
    assert rows(one)["mBART (query and key)"][3] == "–"
    assert rows(two)["LAFT"][1] == "not testable here"
    assert rows(three)["LAFT"][3] == "not transcribed"
    assert "one run of stage 1" in markdown.render(found, tmp_path)


def test_trained_parameters_read_as_laft_parameters_prints_them() -> None:
    for count in (0, 7, 1_579_520, 12_004_352, 25_192_448, 610_851_840, 999_999):
        assert names.millions(count) == parameters.millions(count)


def test_every_method_has_its_row() -> None:
    assert set(METHODS) <= set(names.METHODS)


def test_an_empty_folder_still_gives_a_page(tmp_path: Path) -> None:
    found = built(tmp_path)
    text = markdown.render(found, tmp_path)
    assert "**Not run**" in text
    assert "no experiment.json" in text
    assert text.count("not run") > 16
    Balanced().feed(html.render(found))


def test_html_is_whole_escaped_and_asks_nothing_of_the_network(folder: Path) -> None:
    text = html.render(built(folder))
    parser = Balanced()
    parser.feed(text)
    assert not parser.open
    for reference in parser.references:
        assert reference.startswith(("#", "data:image/png;base64,")), reference
    assert not re.search(r"url\(|@import|<script|<link|<iframe", text)
    assert {"en", "fr", "zh-CN"} <= parser.langs
    assert "<b>simple</b>" not in text
    assert "éditeur de texte &lt;b&gt;simple&lt;/b&gt; 0 laft" in text
    assert "echo &#x27;a &lt; b&#x27;" in text
    assert "signature: rouge:F|protocol:unicode" in text


def test_a_cell_tells_what_it_was_trained_on(tmp_path: Path) -> None:
    cell = made.result("laft", "main", "fr_XX", 1, made.items(30.0, 1), setting="few-shot-10")
    cell |= {"training_pairs": {"pairs": 10, "repeats": 200, "share": 0.2}}
    cell["cost"] |= {"interrupted": True, "stage2_seconds": None}
    made.put(tmp_path, "a.json", cell)
    text = markdown.render(built(tmp_path), tmp_path)
    assert "Of the target's data: pairs 10, repeats 200, share 0.2. Interrupted: its time" in text


def test_markdown_tables_are_rectangular_and_escaped(folder: Path) -> None:
    text = markdown.render(built(folder), folder / "elsewhere")
    assert "<b>" not in text
    assert "](../figure2.png)" in text
    width = None
    for line in text.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert width is None or cells is None or cells == width
        width = cells


def test_rendering_twice_gives_the_same_bytes(folder: Path) -> None:
    assert html.render(built(folder)) == html.render(built(folder))


def test_numbers_of_the_figure_are_read_leniently(folder: Path) -> None:
    tables = [n for n in section(built(folder), "controls").children if isinstance(n, Table)]
    assert rows(tables[0])["as the paper has it"][-1] == "en 0.12, fr 0.15"
    assert rows(tables[0])["k = 12"][-1] == "not measured"
    panel = rows(tables[1])["English and Chinese"]
    assert panel == ["after fusion", "0.148", "55.0 %", "not measured", "99.9 %", "not measured"]


def test_a_figure_that_is_no_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "figure2.png").write_bytes(b"<svg>")
    with pytest.raises(LaftError, match=r"figure2\.png: no PNG"):
        html.render(built(tmp_path))


def test_no_chart_goes_below_zero() -> None:
    """An unstable system's symmetric interval does; its line is cut, and its numbers stay."""
    bars = [charts.Bar("stable", 29.0, 28.0, 30.0), charts.Bar("unstable", 18.8, -4.7, 42.3)]
    drawn = charts.intervals("ROUGE-L", bars)
    ticks = re.findall(r'class="tick"[^>]*>(-?\d+)<', drawn)
    assert (ticks[0], ticks[-1]) == ("0", "40")
    lines = re.findall(r'<line x1="([\d.]+)" x2="([\d.]+)"', drawn)
    axis = re.search(r'class="grid" x1="([\d.]+)"', drawn)
    assert axis is not None and len(lines) == 2
    assert lines[1][0] == axis.group(1)
