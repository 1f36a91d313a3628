"""Charts for the page, as SVG text: the same results draw the same bytes."""

import io
import math
import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import Comparisons, System
from laft_fairseq.reporting.schemas import is_number
from laft_fairseq.reporting.tables import TABLE_VARIANTS, trivial_baseline

_MEASURES = {"rougeL": "ROUGE-L", "copied": "copied from the source, %"}
_LAFT, _TRIVIAL, _OTHER = "#0b62a8", "#a06a00", "#6b7785"  # colours


def show(figure: Figure | None, title: str) -> Markup:
    """Return the figure as SVG: no date, no address; `title` also for those who do not see it."""
    if figure is None:
        return Markup("Not run, or not recorded.")
    figure.suptitle(title, fontsize=10)
    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "text.parse_math": False}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=nothing, transparent=True)
    text = written.getvalue()
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text[text.index("<svg") :]).strip()
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
    return Markup(f"<figure>{text}</figure>")


def overview(comparisons: Comparisons) -> Figure | None:
    """Draw zero-shot headlines, a panel a language: a dot at each mean, a line over its interval.

    The best is on top, the trivial baselines are beneath. A ring is a system of one seed. No score
    is below 0: the axis does not begin below it, and an interval is cut there.
    """
    langs = [lang for lang in comparisons.results.targets if _shown(comparisons, lang)]
    if not langs:
        return None
    figure = Figure(figsize=(5.8 * len(langs), 5), layout="constrained")
    for axes, lang in zip(figure.subplots(1, len(langs), squeeze=False)[0], langs, strict=True):
        bars = []  # title, mean, ends of the interval, colour of line and dot
        for system in sorted(_shown(comparisons, lang), key=lambda system: -system.mean.value):
            colour = _LAFT if system.row.title == "LAFT" else _OTHER
            face = "white" if len(system.cells) == 1 else colour
            bars.append(
                (system.row.title, system.mean.value, *system.mean.interval(), colour, face)
            )
        for name in ("lead1", "english_reference"):
            score = trivial_baseline(comparisons, "headlines", lang, name)
            if score:
                scores = (score["f"], score["low"], score["high"])
                bars.append((names.TRIVIAL_BASELINES[name], *scores, _TRIVIAL, _TRIVIAL))
        titles, means, lows, highs, colours, faces = zip(*bars, strict=True)
        places = range(len(bars))
        axes.hlines(places, [max(0.0, low) for low in lows], highs, colours)
        axes.scatter(means, places, c=faces, edgecolors=colours, zorder=2)
        for place, mean, high, colour in zip(places, means, highs, colours, strict=True):
            axes.annotate(f"\N{NO-BREAK SPACE}{mean:.1f}", (high, place), va="center", color=colour)
        axes.margins(x=0.15)  # room for the numbers
        axes.set_yticks(places, titles, fontsize=9)
        axes.set_xlim(max(0, math.floor(min(lows) / 5) * 5))
        axes.invert_yaxis()
        axes.set_title(names.language(lang), fontsize=10)
        axes.grid(axis="x", color="#d5dce3")
    return figure


def learning_curves(comparisons: Comparisons) -> Figure | None:
    """Draw the training loss of zero-shot headlines' systems by updates, a panel a stage.

    Updates grow to the right, loss grows upwards; a line is a system's lowest seed.
    """
    stages: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for lang in comparisons.results.targets:  # one training serves them all
        for system in _shown(comparisons, lang):
            for stage in (1, 2):
                points = _curve(system.cells[0].data.get("curve") or [], stage)
                if points:
                    stages.setdefault(f"Stage {stage}", {})[system.row.title] = points
    if not stages:
        return None
    figure = Figure(figsize=(5.8 * len(stages), 5.5), layout="constrained")
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    for axes, (title, lines) in zip(panels, sorted(stages.items()), strict=True):
        _draw(axes, lines)
        axes.set(title=title, xlabel="updates")
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.15), ncols=2, fontsize=8)
    return figure


def validation_curves(comparisons: Comparisons) -> Figure | None:
    """Draw ROUGE-L and the copied share of validation outputs by updates of stage 2.

    A row a measure, a column a language, the source's first; a line is a system's lowest seed.
    """
    langs: list[str] = []
    lines: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
    for system in (each for lang in comparisons.results.targets[:1]
                   for each in _shown(comparisons, lang)):  # fmt: skip
        for point in system.cells[0].data.get("curve") or []:
            for measure in _MEASURES if point.get("stage") == 2 else ():
                for lang, value in (point.get(measure) or {}).items():
                    if is_number(point.get("update")) and is_number(value):
                        line = lines.setdefault((measure, lang), {})
                        line.setdefault(system.row.title, []).append((point["update"], value))
                        langs += [lang] if lang not in langs else []
    if not lines:
        return None
    figure = Figure(figsize=(4.5 * len(langs), 7), layout="constrained")
    panels = figure.subplots(len(_MEASURES), len(langs), squeeze=False)
    for (measure, title), across in zip(_MEASURES.items(), panels, strict=True):
        for axes, lang in zip(across, langs, strict=True):
            _draw(axes, lines.get((measure, lang), {}))
            axes.set(title=f"{names.language(lang)}: {title}", xlabel="updates")
    handles, titles = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, titles, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _draw(axes: Axes, lines: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Draw a line a system, LAFT's thick."""
    for number, (title, points) in enumerate(lines.items()):
        style = f"C{number}" + ("-" if number < 10 else "--")
        axes.plot(*zip(*points, strict=True), style, linewidth=1, label=title)
        if title == "LAFT":
            axes.lines[-1].set(color=_LAFT, linestyle="-", linewidth=3)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _shown(comparisons: Comparisons, lang: str) -> list[System]:
    """Return the systems of zero-shot headlines in a language, without LAFT's ablations."""
    wanted = ("headlines", "zero-shot", lang)
    return [system for system in comparisons.systems
            if (system.row.task, system.row.setting, system.row.lang) == wanted
            and system.row.variant in TABLE_VARIANTS
            and system.row.selection != "target"]  # fmt: skip


def _curve(points: Sequence[Mapping[str, float]], stage: int) -> list[tuple[float, float]]:
    """Return a stage's (update, training loss); what is no finite number is left out."""
    return sorted(
        (float(point["update"]), float(point["loss"]))
        for point in points
        if (point.get("stage"), point.get("split")) == (stage, "train")
        and is_number(point.get("update"))
        and is_number(point.get("loss"))
    )
