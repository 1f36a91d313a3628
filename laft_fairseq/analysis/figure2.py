"""The paper's Figure 2: where the sentences of two languages lie at each stage of the encoder."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

# Okabe and Ito's palette, which colour-blind readers can tell apart, strongest contrasts first.
PALETTE = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#009E73", "#56B4E9", "#000000")
DPI = 200
PANEL = 3.1, 3.6  # inches, with the lines under it
CAPTION_LETTERS = 18.5  # an inch

# One map: points of each language (n, 2), and the lines written under it.
Panel = tuple[Mapping[str, NDArray[Any]], Sequence[str]]


def colours(tags: Sequence[str]) -> dict[str, str]:
    """Return a colour for each language; the first, which is in all panels, alone has its own."""
    others = itertools.cycle(PALETTE[1:])
    return {tag: next(others) if place else PALETTE[0] for place, tag in enumerate(tags)}


def draw(
    panels: Sequence[Panel],
    rows: Sequence[str],
    columns: Sequence[str],
    caption: Sequence[str],
) -> Figure:
    """Return panels in rows (pairs of languages) and columns (stages), a legend, and a caption.

    The panels come row by row. Each string of ``caption`` is a paragraph; it is wrapped.
    """
    width = PANEL[0] * len(columns)
    wrap = int(CAPTION_LETTERS * width)
    lines = [line for paragraph in caption for line in textwrap.wrap(paragraph, wrap)]
    height = PANEL[1] * len(rows) + 0.8 + 0.15 * len(lines)
    layout = ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.1)  # inches
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    colour = colours(list(dict.fromkeys(tag for points, _ in panels for tag in points)))
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=True):
        _draw_panel(axes, panel, colour)
    for axes, title in zip(grid[0], columns, strict=True):
        axes.set_title(title, fontsize=11.5, pad=7)
    for axes, title in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(title, fontsize=11.5, labelpad=8)
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=ink, label=tag)
        for tag, ink in colour.items()
    ]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles),
        frameon=False,
        handletextpad=0.1,
    )
    # A command's dollar signs are no formula.
    figure.supxlabel(
        "\n".join(lines), x=0.02, ha="left", fontsize=7.3, color="#555555", parse_math=False
    )
    return figure


def _draw_panel(axes: Any, panel: Panel, colour: Mapping[str, str]) -> None:
    """Scatter all languages in one random order, so that none lies on top of the others."""
    clouds, notes = panel
    points = np.concatenate(list(clouds.values()))  # (n, 2)
    ink = np.array([colour[tag] for tag, cloud in clouds.items() for _ in cloud])  # (n,)
    order = np.random.default_rng(0).permutation(len(points))
    size = float(np.clip(7000 / len(points), 5, 30))
    axes.scatter(
        *points[order].T, c=ink[order], s=size, alpha=0.72, linewidths=0.25, edgecolors="white"
    )
    axes.set_box_aspect(1)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#C8C8C8")
    axes.set_xlabel("\n".join(notes), fontsize=8.4, labelpad=5, linespacing=1.45)
