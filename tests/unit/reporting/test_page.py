"""What stands on the page, in both renderings; the numbers are made up."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from laft_fairseq.cli import parameters
from laft_fairseq.errors import LaftError
from laft_fairseq.method.systems import METHODS
from laft_fairseq.reporting import names, results
from laft_fairseq.reporting.comparisons import Comparisons
from laft_fairseq.reporting.page import ablations, charts, details, main_tables, page
from laft_fairseq.reporting.page.entries import Table
from tests import result_files as made

VOID = {"meta", "img"}


class Balanced(HTMLParser):
    """Counts what is opened and never closed, and collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.langs: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.references += [str(given[k]) for k in ("src", "href", "xlink:href") if k in given]
        self.langs.add(str(given.get("lang")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write(tmp_path_factory.mktemp("results"))


def tables(folder: Path) -> tuple[Table, Table, Table]:
    read = results.read(folder)
    comparisons = Comparisons(read)
    return (
        main_tables.paper_table(read, comparisons, 1, "headlines", read.targets),
        main_tables.paper_table(read, comparisons, 2, "questions", ["zh_CN"]),
        main_tables.ablation_table(read, comparisons),
    )


def test_ours_stands_beside_the_papers(folder: Path) -> None:
    one, two, three = tables(folder)
    mean = sum(sum(made.items(22.0, seed)) / made.N for seed in (1, 2, 3)) / 3
    full = made.rows(one)["mBART (full)"]
    assert full[:4] == ["12.00M", f"{mean:.1f}", "98.0 %", "not transcribed"]
    note = made.entry(one, "mBART (full)", 2).note
    assert re.fullmatch(r"\[\d\d\.\d, \d\d\.\d\]\n3 seeds", note)
    laft = made.rows(one)["LAFT"]
    assert (laft[3], laft[6], made.entry(one, "LAFT", 2).strong) == ("12.34", "–", True)
    blocks = [row for row in one.rows if isinstance(row, str)]
    assert blocks[1].endswith("Chinese: not testable here, no translation engine, 205 human pairs")
    assert made.rows(one)["LEAD-1 (first sentence)"][1] == "27.0"
    assert made.rows(two)["mBART (full)"][1] == "not run"
    assert made.rows(three)["LAFT, without fusion"][1] == "not run"
    assert made.rows(three)["LAFT, without removal"][-1].startswith("−")


def test_papers_numbers_that_nobody_listed_are_not_transcribed(tmp_path: Path) -> None:
    planned = made.experiment(paper={"cells": []}, budget={"stage1_seeds": 1}) | {
        "not_testable": [{"setting": "questions", "lang": "zh_CN", "reason": "no pairs"}]
    }
    made.put(tmp_path, "experiment.json", planned)
    one, two, three = tables(tmp_path)
    of_each_language = ["not run", "–", "not transcribed"]
    assert made.rows(one)["mBART (full)"] == ["–", *of_each_language, *of_each_language]
    assert made.rows(one)["mBART (query and key)"][3] == "–"
    assert made.rows(two)["LAFT"][1] == "not testable here"
    assert made.rows(three)["LAFT"][3] == "not transcribed"
    assert "one run of stage 1" in page.markdown(results.read(tmp_path), tmp_path)


def test_without_an_experiment_the_cells_say_what_is_compared(tmp_path: Path) -> None:
    for method, mean in (("laft", 30.0), ("adapter", 25.0)):
        for seed in (1, 2, 3):
            cell = made.result(method, "main", "es_XX", seed, made.items(mean, seed))
            made.put(tmp_path, f"{method}.{seed}.json", cell)
    one, _, _ = tables(tmp_path)
    assert one.header[2] == "es_XX: ROUGE-L"
    text = page.markdown(results.read(tmp_path), tmp_path)
    assert "No comparison was named before the run" in text
    assert re.search(r"\| Adapter \| 3 and 3 \| es\\_XX \| \*\*\+[45]\.", text)


def test_names_follow_the_package() -> None:
    assert set(METHODS) <= set(names.METHODS)
    for count in (0, 7, 1_579_520, 12_004_352, 25_192_448, 610_851_840, 999_999):
        assert names.millions(count) == parameters.millions(count)


def test_an_empty_folder_still_gives_a_page(tmp_path: Path) -> None:
    read = results.read(tmp_path)
    text = page.markdown(read, tmp_path)
    assert "no experiment.json" in text
    assert text.lower().count("not run") > 16
    Balanced().feed(page.html(read))


def test_html_is_whole_escaped_and_asks_nothing_of_the_network(folder: Path) -> None:
    text = page.html(results.read(folder))
    parser = Balanced()
    parser.feed(text)
    assert not parser.open
    for reference in parser.references:
        assert reference.startswith(("#", "data:image/png;base64,")), reference
    assert not re.search(r"url\((?!#)|@import|<script|<link|<iframe|https?://", text)
    assert {"en", "fr", "zh-CN"} <= parser.langs
    assert "<b>simple</b>" not in text
    assert "éditeur de texte &lt;b&gt;simple&lt;/b&gt; 0 laft" in text
    assert "echo &#39;a &lt; b&#39;" in text
    assert "signature: rouge:F|protocol:unicode" in text
    assert page.html(results.read(folder)) == text


def test_hostile_text_is_escaped_wherever_it_stands(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\"'><b>|*`x`*"
    cell = made.result("laft", bad, "fr_XX", 1, made.items(30.0, 1), outputs=[bad])
    cell |= {"commands": [bad], "training_pairs": {bad: bad}}
    made.put(tmp_path, "cell.json", cell)
    made.put(tmp_path, "cell2.json", cell | {"variant": "main"})
    made.put(tmp_path, "experiment.json", made.experiment(title=bad, machine=bad))
    made.put(tmp_path, "gates.json", {"format": "laft-gates/1", "gates": [{"title": bad}]})
    read = results.read(tmp_path)
    for text in (page.html(read), re.sub(r"(?s)```.*?\n```", "", page.markdown(read, tmp_path))):
        assert "<script>" not in text
        assert "<b>" not in text
        assert "&lt;script&gt;alert(1)" in text


def test_other_scores_and_costs_are_means_over_seeds(folder: Path) -> None:
    comparisons = Comparisons(results.read(folder))
    groups = details.by_task_and_language(comparisons)
    assert list(groups) == [("headlines", "fr_XX"), ("headlines", "zh_CN"), ("questions", "zh_CN")]
    table = details.score_table("headlines", "fr_XX", groups["headlines", "fr_XX"])
    laft = dict(zip(table.header[1:], made.rows(table)["LAFT"], strict=True))
    assert (laft["Seeds"], laft["Items"], laft["Right language"]) == ("3", "60", "99.0 %")
    assert (laft["Learning rate"], laft["Length ratio"]) == ("0.001, 0.0003 (2 tried)", "1.10")
    assert (laft["Minutes: stage 1"], laft["stage 2"], laft["generation"]) == ("2.0", "1.5", "0.5")
    assert made.rows(table)["references themselves"][3] == "99.0 %"


def test_a_cell_tells_what_it_was_trained_on(tmp_path: Path) -> None:
    cell = made.result("laft", "main", "fr_XX", 1, made.items(30.0, 1), setting="few-shot-10")
    cell |= {"training_pairs": {"pairs": 10, "repeats": 200, "share": 0.2}}
    cell["cost"] |= {"interrupted": True, "stage2_seconds": None}
    made.put(tmp_path, "a.json", cell)
    text = page.markdown(results.read(tmp_path), tmp_path)
    assert "Of the target's data: pairs 10, repeats 200, share 0.2. Interrupted: its time" in text


def test_markdown_tables_are_rectangular(folder: Path) -> None:
    text = page.markdown(results.read(folder), folder / "elsewhere")
    assert "](../figure2.png)" in text
    width = None
    for line in text.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert width is None or cells is None or cells == width
        width = cells


def test_measures_of_representations(folder: Path) -> None:
    read = results.read(folder)
    scores = made.rows(ablations.ablation_scores(read, Comparisons(read)))
    assert scores["as the paper has it"][-1] == "en 0.12, fr 0.15"
    assert scores["k = 12"][-1] == "not measured"
    panel = made.rows(ablations.representation_table(read))["English and Chinese"]
    assert panel == ["encoder output", "0.148", "55.0 %", "not measured", "99.9 %", "not measured"]
    assert ablations.chance(read) == "0.1 %"


def test_a_figure_that_is_no_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "figure2.png").write_bytes(b"<svg>")
    with pytest.raises(LaftError, match=r"figure2\.png: no PNG"):
        page.html(results.read(tmp_path))


def test_no_chart_of_scores_goes_below_zero() -> None:
    """An unstable system's symmetric interval does; its line is cut, and its numbers stay."""
    bars = [charts.Bar("stable", 29.0, 28.0, 30.0), charts.Bar("unstable", 18.8, -4.7, 42.3)]
    axes = Figure().subplots()
    charts.draw_intervals(axes, bars)
    assert axes.get_xlim() == (0, 45)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first is on top
    drawn = [list(line.get_xdata()) for line in axes.lines]
    assert drawn == [[28.0, 30.0], [29.0], [0.0, 42.3], [18.8]]
    charts.draw_intervals(other := Figure().subplots(), bars[:1])
    assert other.get_xlim() == (25, 35)


def test_updates_grow_to_the_right_and_loss_upwards() -> None:
    curve = [{"stage": 2, "update": update, "split": "valid", "loss": loss}
             for update, loss in ((50, 4.0), (10, 9.0), (90, 2.0), (95, float("nan")))]  # fmt: skip
    stages = page.curve_points([*curve, {"stage": 2, "split": "valid"}])
    assert stages == {"Stage 2": {"valid": [(50, 4.0), (10, 9.0), (90, 2.0)]}}
    axes = Figure().subplots()
    charts.draw_curves(axes, "Stage 2", stages["Stage 2"])
    assert list(axes.lines[0].get_xdata()) == [10, 50, 90]
    assert list(axes.lines[0].get_ydata()) == [9.0, 4.0, 2.0]
    assert axes.get_xlim()[0] < axes.get_xlim()[1]
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    where = axes.transData.transform([(10, 9.0), (90, 2.0)])  # pixels from the lower left
    assert where[0][0] < where[1][0] and where[0][1] > where[1][1]
