"""Writes the page by its templates, as one HTML file that needs nothing else or as Markdown."""

import base64
import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from laft_fairseq.errors import LaftError
from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import HEADLINE, MAIN_ABLATIONS, Comparisons
from laft_fairseq.reporting.page import ablations, charts, details, differences, main_tables
from laft_fairseq.reporting.page.trivial_baselines import trivial_baseline
from laft_fairseq.reporting.results import Results
from laft_fairseq.reporting.schemas import is_number

_TEMPLATES = Path(__file__).parents[1] / "templates"
_PNG = b"\x89PNG\r\n\x1a\n"


def html(results: Results) -> str:
    """Return the page as HTML: no script, no font, no network; every text is escaped.

    Raises:
        LaftError: the figure cannot be read, or is no PNG.
    """
    figure = results.figure
    address = None
    if figure is not None:
        try:
            content = figure.read_bytes()
        except OSError as error:
            raise LaftError(f"{figure}: cannot be read ({error.strerror})") from error
        if not content.startswith(_PNG):
            raise LaftError(f"{figure}: no PNG image; draw it again with laft tsne")
        address = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return _render(results, "html.j2", address)


def markdown(results: Results, beside: Path) -> str:
    """Return the page as Markdown, without charts; the figure is linked from `beside`'s folder."""
    address = None
    if results.figure is not None:
        relative = os.path.relpath(results.figure.resolve(), beside.resolve())
        address = Path(relative).as_posix().replace(" ", "%20")
    return re.sub(r"\n{3,}", "\n\n", _render(results, "markdown.j2", address))


def plain(text: object) -> str:
    """Return text on one line that Markdown leaves as it is."""
    line = " ".join(str(text).split())
    for mark in "\\`*_|[]":
        line = line.replace(mark, f"\\{mark}")
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fence(text: str) -> str:
    """Return a fence that is longer than any run of backquotes in the text."""
    mark = "```"
    while mark in text:
        mark += "`"
    return mark


@functools.cache
def _environment(autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "fence": fence}
    return environment


def _render(results: Results, writer: str, figure: str | None) -> str:
    comparisons = Comparisons(results)
    doubles = sum(len(s.cells) for s in comparisons.systems if comparisons.doubles(s))
    template = _environment(writer == "html.j2").get_template("page.j2")
    return template.render(
        writer=writer,
        figure=figure,
        names=names,
        results=results,
        experiment=results.experiment,
        comparisons=comparisons,
        read=len(results.cells) - doubles,
        groups=details.by_task_and_language(comparisons),
        main_ablations=names.join([names.VARIANTS[variant] for variant in MAIN_ABLATIONS]),
        modules={"tables": main_tables, "ablations": ablations, "details": details},
        difference_table=differences.difference_table,
        overview=lambda: overview(results, comparisons),
        curves=lambda: curves(comparisons),
    )


def overview(results: Results, comparisons: Comparisons) -> Iterator[tuple[str, str]]:
    """Yield a chart of zero-shot headlines for each target language, with its title."""
    for lang in results.targets:
        bars = []
        for line in main_tables.lines(comparisons, "headlines", "zero-shot", [lang]):
            system = line.system(comparisons, lang)
            if system and line.selections == HEADLINE:
                kind = "main" if (line.method, line.variant) == ("laft", "main") else ""
                bars.append(charts.Bar(system.row.title, system.mean.value,
                                       *system.mean.interval(), kind,
                                       len(system.cells) == 1))  # fmt: skip
        bars.sort(key=lambda bar: -bar.value)
        trivial = {name: trivial_baseline(comparisons, "headlines", lang, name)
                   for name in ("lead1", "english_reference")}  # fmt: skip
        for name, score in trivial.items():
            if bars and score:
                bars.append(charts.Bar(names.TRIVIAL_BASELINES[name], score["f"], score["low"],
                                       score["high"], "trivial"))  # fmt: skip
        if bars:
            title = f"{names.language(lang)} headlines, zero-shot: ROUGE-L with 95 % interval"
            lead = trivial["lead1"]
            yield title, charts.intervals(title, bars, lead["f"] if lead else None)


def curves(comparisons: Comparisons) -> Iterator[tuple[str, str]]:
    """Yield a chart of loss by updates of each system's lowest seed, with its title.

    One training serves all languages of some settings.
    """
    seen = set()
    for system in comparisons.systems:
        row = system.row
        shared = row.setting in ("zero-shot", "translate-test")
        where = "" if shared else f" {names.language(row.lang)}"
        title = f"{names.TASKS[row.task]}, {row.setting}{where}: {row.title}"
        stages = curve_points(system.cells[0].data.get("curve") or [])
        if row.selection != "target" and stages and title not in seen:
            seen.add(title)
            yield title, charts.curves(f"{title}: loss", stages)


def curve_points(curve: Sequence[dict[str, Any]]) -> dict[str, charts.Curves]:
    """Return points (update, loss) by stage and split; what is no finite number is left out."""
    stages: dict[str, charts.Curves] = {}
    for stage, split in ((stage, split) for stage in (1, 2) for split in ("train", "valid")):
        points = [
            (float(point["update"]), float(point["loss"]))
            for point in curve
            if (point.get("stage"), point.get("split")) == (stage, split)
            and is_number(point.get("update"))
            and is_number(point.get("loss"))
        ]
        if points:
            stages.setdefault(f"Stage {stage}", {})[split] = points
    return stages
