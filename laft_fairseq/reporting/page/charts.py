"""Charts as SVG text for the page: the same results draw the same bytes."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Curves = dict[str, list[tuple[float, float]]]  # points (update, loss) by split, train or valid
_COLOURS = {"main": "#0b62a8", "trivial": "#a06a00", "": "#6b7785"}
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Bar:
    """A mean with its interval; kind "main" stands out, "trivial" is a trivial baseline.

    `single`: of one seed; drawn as a ring.
    """

    title: str
    value: float
    low: float
    high: float
    kind: str = ""
    single: bool = False


def intervals(title: str, bars: Sequence[Bar], mark: float | None = None) -> str:
    """Return an SVG with a row for each system: a dot at its mean, a line over its interval.

    No score is below 0: the axis does not begin below it, and an interval is cut there.

    Args:
        title: what the drawing shows, for those who do not see it.
        bars: from top to bottom.
        mark: where a dashed line stands.
    """
    with rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(5.4, 0.27 * len(bars) + 0.5), layout="constrained")
        draw_intervals(figure.subplots(), bars, mark)
        return _svg(figure, title)


def draw_intervals(axes: Axes, bars: Sequence[Bar], mark: float | None = None) -> None:
    """Draw the rows of `intervals`, the first on top."""
    for place, bar in enumerate(bars):
        colour = _COLOURS[bar.kind]
        face = "white" if bar.single else colour
        axes.plot([max(0.0, bar.low), bar.high], [place, place], color=colour, linewidth=2)
        axes.plot([bar.value], [place], "o", color=colour, markerfacecolor=face, markersize=5)
        axes.annotate(
            f"{bar.value:.1f}",
            (bar.high, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            bbox={"color": "white", "pad": 0.5},
        )
    low = max(0, math.floor(min(bar.low for bar in bars) / 5) * 5)
    high = math.ceil(max(bar.high for bar in bars) / 5 + 1e-9) * 5
    if mark is not None:
        axes.axvline(mark, color=_COLOURS["trivial"], linestyle="--", linewidth=1, zorder=0)
    axes.set_xlim(low, max(high, low + 5))
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_yticks(range(len(bars)), [bar.title for bar in bars])
    for label, bar in zip(axes.get_yticklabels(), bars, strict=True):
        label.set_color(_COLOURS[bar.kind] if bar.kind else "black")
    axes.grid(axis="x", color="#d5dce3", linewidth=0.8)
    axes.tick_params(axis="y", length=0)


def curves(title: str, stages: Mapping[str, Curves]) -> str:
    """Return an SVG with loss against updates, a panel for each of `stages`, by its title."""
    with rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(3.2 * len(stages), 1.7))
        figure.subplots_adjust(left=0.12, right=0.97, bottom=0.27, top=0.87)
        panels = figure.subplots(1, len(stages), squeeze=False)[0]
        for axes, (name, splits) in zip(panels, stages.items(), strict=True):
            draw_curves(axes, name, splits)
        return _svg(figure, title)


def draw_curves(axes: Axes, name: str, splits: Curves) -> None:
    """Draw one panel of `curves`: updates grow to the right, loss grows upwards."""
    for split, points in splits.items():
        updates, losses = zip(*sorted(points), strict=True)
        style = "--" if split == "train" else "-"
        axes.plot(updates, losses, style, color=_COLOURS["" if split == "train" else "main"],
                  marker="o" if len(points) == 1 else "", markersize=3)  # fmt: skip
    axes.set_title(name, fontsize=9)
    axes.set_xlabel("updates")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _svg(figure: Figure, title: str) -> str:
    """Return the figure as an `svg` element: no date, no address, its own identifiers."""
    written = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(written, format="svg", metadata=nothing, transparent=True)
    text = written.getvalue()
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text[text.index("<svg") :])
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
