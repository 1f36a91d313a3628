"""The paper's Figure 2: where the sentences of two languages lie at each stage of the encoder."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

# Okabe and Ito's palette, which colour-blind readers can tell apart, strongest contrasts first.
PALETTE = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#009E73", "#56B4E9", "#000000")
INK, FAINT = "#222222", "#C8C8C8"
DPI = 200

# Inches.
PANEL, GAP, NOTE, LEFT, RIGHT, TOP, LINE = 2.9, 0.22, 0.62, 0.55, 0.2, 0.95, 0.165
LETTERS = 18.5  # of the caption, an inch


@dataclass(frozen=True)
class Panel:
    """One map: points of each language (n, 2), and the numbers written under it."""

    points: Mapping[str, NDArray[Any]]
    notes: Sequence[str]


def colours(tags: Sequence[str]) -> dict[str, str]:
    """One colour a language, the same in every panel; the first, which is in all, alone has its."""
    others = itertools.cycle(PALETTE[1:])
    return {tag: next(others) if place else PALETTE[0] for place, tag in enumerate(tags)}


def draw(
    panels: Sequence[Sequence[Panel]],
    rows: Sequence[str],
    columns: Sequence[str],
    caption: Sequence[str],
) -> Figure:
    """Panels in rows (pairs of languages) and columns (stages), a legend, and a caption.

    Each string of ``caption`` is a paragraph; it is wrapped.
    """
    inside = len(columns) * PANEL + (len(columns) - 1) * GAP
    width = LEFT + RIGHT + inside
    wrap = int(LETTERS * inside)
    lines = [line for paragraph in caption for line in textwrap.wrap(paragraph, wrap)]
    bottom = 0.3 + LINE * len(lines)
    height = TOP + bottom + len(rows) * (PANEL + NOTE)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    tags = list(dict.fromkeys(tag for row in panels for panel in row for tag in panel.points))
    colour = colours(tags)
    for i, row in enumerate(panels):
        for j, panel in enumerate(row):
            x = LEFT + j * (PANEL + GAP)
            y = height - TOP - (i + 1) * PANEL - i * NOTE
            axes = figure.add_axes((x / width, y / height, PANEL / width, PANEL / height))
            _draw_panel(axes, panel, colour)
            if i == 0:
                axes.set_title(columns[j], fontsize=11.5, color=INK, pad=7)
            if j == 0:
                axes.set_ylabel(rows[i], fontsize=11.5, color=INK, labelpad=8)
    _legend(figure, colour, 1 - 0.1 / height)
    for number, line in enumerate(lines):
        y = (bottom - 0.15 - LINE * (number + 0.5)) / height
        figure.text(
            LEFT / width, y, line, fontsize=7.3, color="#555555", va="center", parse_math=False
        )
    return figure


def save(figure: Figure, path: Path, description: str) -> None:
    """Write a PNG that carries ``description``, such as the command that made it."""
    FigureCanvasAgg(figure)
    metadata = {"Title": "Sentence representations by language", "Description": description}
    figure.savefig(path, format="png", dpi=DPI, metadata=metadata)


def _draw_panel(axes: Any, panel: Panel, colour: Mapping[str, str]) -> None:
    """Scatter all languages in one random order, so that none lies on top of the others."""
    points = np.concatenate(list(panel.points.values()))  # (n, 2)
    ink = [colour[tag] for tag, own in panel.points.items() for _ in own]
    order = np.random.default_rng(0).permutation(len(points))
    size = float(np.clip(7000 / len(points), 5, 30))
    axes.scatter(
        *points[order].T,
        c=[ink[place] for place in order],
        s=size,
        alpha=0.72,
        linewidths=0.25,
        edgecolors="white",
    )
    middle = (points.max(0) + points.min(0)) / 2
    half = 0.54 * float((points.max(0) - points.min(0)).max()) or 1.0
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(FAINT)
        spine.set_linewidth(0.8)
    axes.set_xlabel("\n".join(panel.notes), fontsize=8.4, color=INK, labelpad=5, linespacing=1.45)


def _legend(figure: Figure, colour: Mapping[str, str], top: float) -> None:
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=ink, label=tag)
        for tag, ink in colour.items()
    ]
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, top),
        ncols=len(handles),
        frameon=False,
        fontsize=10.5,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.6,
    )
