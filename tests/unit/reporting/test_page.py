"""What stands on the page, in both renderings; the numbers are made up."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.method.systems import METHODS
from laft_fairseq.reporting import charts, details, names, page, results, tables
from laft_fairseq.reporting.comparisons import Comparisons
from laft_fairseq.reporting.markup import Table
from tests import result_files as made


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
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [str(value) for name, value in attrs if name in ("src", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write(tmp_path_factory.mktemp("results"))


PAPER = Path(__file__).parents[2] / "data" / "paper_tables.json"


def paper_tables(folder: Path) -> list[Table]:
    comparisons = Comparisons(results.read(folder))
    return [
        tables.paper_table(comparisons, 1, "headlines", comparisons.results.targets),
        tables.paper_table(comparisons, 2, "questions", ["zh_CN"]),
        tables.parameter_table(comparisons),
        tables.ablation_table(comparisons),
    ]


def test_ours_stands_beside_the_papers(folder: Path) -> None:
    one, two, _, ablation = paper_tables(folder)
    mean = sum(sum(made.items(22.0, seed)) / made.N for seed in (1, 2, 3)) / 3
    trained, rouge, right, paper = made.rows(one)["mBART (full)"][:4]
    assert (trained, right, paper) == ("12.00M|of 14.58M", "98.0 %", "33.40")
    assert re.fullmatch(rf"{mean:.1f}\|\[\d\d\.\d, \d\d\.\d\]\|3 seeds", rouge)
    laft = made.rows(one)["LAFT"]
    assert (laft[3], laft[6], laft[1][:2]) == ("40.78", "46.37", "**")
    assert made.rows(one)["LAFT, projection (not divided by ‖e‖)"][3] == "–"
    assert made.rows(one)["LEAD-1 (first sentence)"][1] == "27.0|[25.0, 29.0]"
    assert made.rows(two)["mBART (full)"][1] == "not run"
    ablations = made.rows(ablation)
    assert ablations["LAFT, without fusion"][1] == "not run"
    assert ablations["LAFT, without removal"][3].startswith("**−")
    assert ablations["LAFT"][-1] == "en 0.12|fr 0.15"
    assert ablations["LAFT, k = 12"][-1] == "not measured"


def test_every_number_of_the_papers_tables_is_there(tmp_path: Path) -> None:
    one, two, three, _ = paper_tables(tmp_path)
    given = json.loads(PAPER.read_text())
    blocks: dict[str, dict[str, list[str]]] = {}
    for name, table in (
        ("table1_summarization_xgiga", one),
        ("table2_question_generation_xqg", two),
    ):
        setting = ""
        for row in table.rows:
            if isinstance(row, str):
                setting = row.split(":")[0].lower()
            elif row[0] in names.METHODS.values():
                shown = dict(zip(table.header, row, strict=True))
                for title, score in shown.items():
                    if title.endswith(": paper") and score != "–":
                        tag = {"Chinese": "zh", "French": "fr"}[title.split(":")[0]]
                        key = f"{name} {setting} {tag}"
                        blocks.setdefault(key, {})[row[0]] = score
    expected: dict[str, dict[str, str]] = {}
    for name in ("table1_summarization_xgiga", "table2_question_generation_xqg"):
        for method, scores in given[name].items():
            for column, score in zip(given[name]["columns"], scores, strict=True):
                if method != "columns":
                    where = expected.setdefault(f"{name} {column}", {})
                    where[names.METHODS[method]] = f"{score:.2f}"
    assert blocks == expected
    table3 = given["table3_trained_parameters_zero_shot_zh"]
    del table3["columns"]
    assert {row[0]: (row[5], row[3]) for row in three.rows} == {
        names.METHODS[method]: (f"{score:.2f}", f"{share:.1f} %")
        for method, (score, share) in table3.items()
    }
    assert sum(map(len, blocks.values())) + len(table3) == 29


def test_table_3_says_what_is_trained_of_what(tmp_path: Path) -> None:
    for method, count in (("adapter", 530_000), ("adapter_r16", 68_000)):
        counts = {"parameters": count, "of": 10_600_000}
        made.put_cell(tmp_path, method, 25.0, 1, lang="zh_CN", trained=counts)
    three = made.rows(paper_tables(tmp_path)[2])
    assert three["Adapter"][:3] == ["0.53M", "5.0 %", "4.3 %"]
    assert three["Adapter, reduction 16"][:3] == ["0.068M", "0.6 %", "–"]
    assert three["LAFT"] == ["–", "–", "3.8 %", "not run", "46.37"]


def test_what_cannot_be_tested_is_said(tmp_path: Path) -> None:
    planned = made.experiment(budget={"stage1_seeds": 1}) | {
        "not_testable": [{"setting": "questions", "lang": "zh_CN", "reason": "no pairs"}]
    }
    made.put(tmp_path, "experiment.json", planned)
    one, two, *_ = paper_tables(tmp_path)
    assert made.rows(one)["mBART (full)"] == [
        "–", *("not run", "–", "33.40"), *("not run", "–", "43.82")
    ]  # fmt: skip
    assert made.rows(two)["LAFT"][1] == "not testable here"
    assert "Not testable here, no pairs:\n  questions\n  (zh\\_CN)." in page.markdown(
        results.read(tmp_path), tmp_path
    )
    assert "one run of stage 1" in page.markdown(results.read(tmp_path), tmp_path)


def test_without_an_experiment_the_cells_say_what_is_compared(tmp_path: Path) -> None:
    for method, mean in (("laft", 30.0), ("adapter", 25.0)):
        for seed in (1, 2, 3):
            made.put_cell(tmp_path, method, mean, seed, lang="es_XX")
    assert paper_tables(tmp_path)[0].header[2] == "es_XX: ROUGE-L"
    text = page.markdown(results.read(tmp_path), tmp_path)
    assert re.search(r"\| Adapter \| 3 and 3 \| es\\_XX \| \*\*\+[45]\.", text)


def test_names_follow_the_package() -> None:
    assert set(METHODS) <= set(names.METHODS)


def test_an_empty_folder_still_gives_a_page(tmp_path: Path) -> None:
    read = results.read(tmp_path)
    text = page.markdown(read, tmp_path)
    assert text.lower().count("not run") > 16
    assert "corrected interval: not run" in text  # one line in place of a table of ablations
    Balanced().feed(page.html(read))


def test_html_is_whole_escaped_and_asks_nothing_of_the_network(folder: Path) -> None:
    text = page.html(results.read(folder))
    parser = Balanced()
    parser.feed(text)
    assert not parser.open
    for reference in parser.references:
        assert reference.startswith(("#", "data:image/png;base64,")), reference
    linked = {reference[1:] for reference in parser.references if reference.startswith("#")}
    sections = {f"section{number}" for number in range(9)}
    assert sections <= linked <= set(re.findall(r' id="([^"]*)"', text))
    assert f"data:image/png;base64,{base64.b64encode(made.PNG).decode()}" in parser.references
    assert not re.search(r"url\((?!#)|@import|<script|<link|<iframe|https?://", text)
    assert {"en", "fr", "zh-CN"} <= parser.langs
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", text) == [
        "At a glance", "Sanity checks", "The paper's tables", "Ablations",
        "Differences to LAFT", "Representations", "Other scores, outputs and commands",
        "Learning curves", "Conditions and budget",
    ]  # fmt: skip
    assert re.findall(r'<svg role="img" aria-label="([^"]*)"', text) == [
        "Headlines, zero-shot: ROUGE-L with 95 % interval",
        "Headlines, zero-shot: validation examples", "Headlines, zero-shot: training loss",
    ]  # fmt: skip
    assert "<caption>Table 1: ROUGE-L" in text and '<th scope="row">LAFT</th>' in text
    assert '<tr class="block"><th colspan="8">Zero-shot: English pairs only</th></tr>' in re.sub(
        "\n</tr>", "</tr>", text
    )
    assert "éditeur de texte &lt;b&gt;simple&lt;/b&gt; 0 laft" in text
    assert "echo 'a &lt; b'\nsignature: rouge:F|protocol:unicode" in text
    assert page.html(results.read(folder)) == text


def test_hostile_text_is_escaped_wherever_it_stands(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\"'><b>|*`x`*\n\n```\n</details><b>"
    cell = made.result("laft", bad, "fr_XX", 1, made.items(30.0, 1), outputs=[bad], commands=[bad])
    made.put(tmp_path, "cell.json", cell)
    made.put(tmp_path, "cell2.json", cell | {"variant": "main", "lang": bad})
    made.put(tmp_path, "experiment.json", made.experiment(title=bad, machine=bad))
    made.put(tmp_path, "gates.json", {"format": "laft-gates/1", "gates": [{"title": bad}]})
    read = results.read(tmp_path)
    without_code = re.sub(r"(?s)\n(````+)\n.*?\n\1\n", "", page.markdown(read, tmp_path))
    for text in (page.html(read), without_code):
        assert "<script>" not in text
        assert "<b>" not in text
        assert "&lt;script&gt;alert(1)" in text
    Balanced().feed(page.html(read))


def test_undecidable_outputs_stand_beside_the_right_language(tmp_path: Path) -> None:
    folder = made.write(tmp_path)
    for path in folder.glob("cells/headlines.zero-shot.mbart_full.main.*.json"):
        cell = json.loads(path.read_text("utf-8"))
        cell["scores"]["undecidable"] = 12.5
        path.write_text(json.dumps(cell), "utf-8")
    right = made.rows(paper_tables(folder)[0])["mBART (full)"][2]
    assert right == "98.0 %|12.5 % undecidable"
    groups = details.by_task_and_language(Comparisons(results.read(folder)))
    table = details.score_table(groups["headlines", "fr_XX"])
    full = dict(zip(table.header[1:], made.rows(table)["mBART (full)"], strict=True))
    assert (full["Right language"], full["Undecidable"]) == ("98.0 %", "12.5 %")


def test_other_scores_and_costs_are_means_over_seeds(folder: Path) -> None:
    groups = details.by_task_and_language(Comparisons(results.read(folder)))
    assert list(groups) == [("headlines", "fr_XX"), ("headlines", "zh_CN"), ("questions", "zh_CN")]
    table = details.score_table(groups["headlines", "fr_XX"])
    assert "60 test items" in table.caption
    laft = dict(zip(table.header[1:], made.rows(table)["LAFT"], strict=True))
    assert (laft["Right language"], laft["Length ratio"]) == ("99.0 %", "1.10")
    assert laft["Learning rates"] == "0.001, 0.0003|2 tried"
    assert laft["Minutes: stage 1 + stage 2 + generation"] == "2.0 + 1.5 + 0.5"
    assert made.rows(table)["references themselves"][1] == "99.0 %"


def test_validation_curves_show_each_measure_and_language(folder: Path) -> None:
    figure = charts.validation_curves(Comparisons(results.read(folder)))
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == [
        "English: ROUGE-L", "French: ROUGE-L",
        "English: copied from the source, %", "French: copied from the source, %",
    ]  # fmt: skip
    (line,) = [line for line in figure.axes[1].lines if line.get_label() == "LAFT"]
    assert line.get_xydata().tolist() == [[12, 22], [24, 34]]
    (line,) = [line for line in figure.axes[3].lines if line.get_label() == "mBART (enc)"]
    assert line.get_xydata().tolist() == [[12, 78], [24, 66]]


def test_markdown_tables_are_rectangular(folder: Path) -> None:
    text = page.markdown(results.read(folder), folder / "elsewhere")
    assert "](../figure2.png)" in text
    width = None
    for line in text.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert width is None or cells is None or cells == width
        width = cells


def test_measures_of_representations(folder: Path) -> None:
    table = details.representation_table(results.read(folder))
    panel = made.rows(table)["English and Chinese"]
    assert panel == ["encoder output", "0.148", "55.0 %", "not measured", "99.9 %", "not measured"]
    assert table.caption.endswith("; chance of retrieval 0.1 %")


def test_a_figure_that_is_no_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "figure2.png").write_bytes(b"<svg>")
    with pytest.raises(LaftError, match=r"figure2\.png: no PNG"):
        page.html(results.read(tmp_path))


def test_no_chart_of_scores_goes_below_zero(tmp_path: Path) -> None:
    """An unstable system's symmetric interval does; its line is cut, and its numbers stay."""
    for seed, mean in enumerate((2.0, 10.0, 40.0), 1):
        cell = made.result("tm_adv", "main", "fr_XX", seed, made.items(mean, seed))
        cell["scores"]["floors"] = None
        made.put(tmp_path, f"{seed}.json", cell)
    comparisons = Comparisons(results.read(tmp_path))
    assert comparisons.systems[0].mean.interval()[0] < 0
    figure = charts.overview(comparisons)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlim()[0] == 0
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first is on top
    (line,) = axes.collections[0].get_paths()
    assert line.vertices[:, 0].tolist() == [0, comparisons.systems[0].mean.interval()[1]]


def test_updates_grow_to_the_right_and_loss_upwards(tmp_path: Path) -> None:
    curve = [{"stage": 2, "update": update, "split": "train", "loss": loss}
             for update, loss in ((50, 4.0), (10, 9.0), (90, 2.0), (95, float("nan")))]  # fmt: skip
    curve.append({"stage": 2, "split": "train"})
    made.put_cell(tmp_path, "laft", 30.0, curve=curve)
    figure = charts.learning_curves(Comparisons(results.read(tmp_path)))
    assert figure is not None
    (axes,) = figure.axes
    assert axes.lines[0].get_xydata().tolist() == [[10, 9], [50, 4], [90, 2]]
    where = axes.transData.transform([(10, 9.0), (90, 2.0)])  # pixels from the lower left
    assert where[0][0] < where[1][0] and where[0][1] > where[1][1]
