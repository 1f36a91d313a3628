"""Small drawings as SVG text, in the page's own colours: no library, no script, no font."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LEFT, _STEP = 520, 240, 22
_CURVE_WIDTH, _CURVE_HEIGHT = 220, 120


@dataclass(frozen=True)
class Bar:
    """A mean with its interval; `main` stands out, `floor` is one of what costs nothing.

    `single`: of one seed; drawn as a ring.
    """

    title: str
    value: float
    low: float
    high: float
    kind: str = ""  # "main", "floor" or ""
    single: bool = False


def intervals(title: str, bars: Sequence[Bar], mark: float | None = None) -> str:
    """A row for each system: a dot at its mean, a line over its interval; `mark`: a dashed line.

    No score is below 0, so an interval's line is cut there.
    """
    low = max(0, math.floor(min(bar.low for bar in bars) / 5) * 5)
    high = math.ceil(max(bar.high for bar in bars) / 5 + 1e-9) * 5
    if high == low:
        high = low + 5

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 44) * (value - low) / (high - low)

    height = _STEP * len(bars) + 34
    parts = []
    step = 5 if high - low <= 40 else 10
    for tick in range(low, high + 1, step):
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="4" '
                     f'y2="{height - 26}"/>')  # fmt: skip
        parts.append(_text(x(tick), height - 10, str(tick), "tick", "middle"))
    if mark is not None and low <= mark <= high:
        parts.append(f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="4" '
                     f'y2="{height - 26}"/>')  # fmt: skip
    for place, bar in enumerate(bars):
        y = _STEP * place + 18
        parts += [
            f'<g class="{bar.kind or "rival"}{" single" if bar.single else ""}">',
            _text(_LEFT - 10, y + 4, bar.title, "name", "end"),
            f'<line x1="{x(max(0.0, bar.low)):.1f}" x2="{x(bar.high):.1f}" y1="{y}" y2="{y}"/>',
            f'<circle cx="{x(bar.value):.1f}" cy="{y}" r="4"/>',
            _text(x(bar.high) + 6, y + 4, f"{bar.value:.1f}", "value", "start"),
            "</g>",
        ]
    return _svg("dots", _WIDTH, height, title, parts)


def curves(title: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Loss against updates, a line for each of `lines`; single points are dots."""
    points = [point for line in lines.values() for point in line]
    x0, x1 = _ends([point[0] for point in points])
    y0, y1 = _ends([point[1] for point in points])
    left, top, right, bottom = 34, 8, _CURVE_WIDTH - 10, _CURVE_HEIGHT - 20

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - x0) / (x1 - x0)
        return left + (right - left) * across, bottom - (bottom - top) * (point[1] - y0) / (y1 - y0)

    parts = [
        f'<path class="axis" d="M{left} {top}V{bottom}H{right}"/>',
        _text(left - 4, top + 8, f"{y1:.3g}", "tick", "end"),
        _text(left - 4, bottom, f"{y0:.3g}", "tick", "end"),
        _text(left, _CURVE_HEIGHT - 6, f"{x0:g}", "tick", "start"),
        _text(right, _CURVE_HEIGHT - 6, f"{x1:g} updates", "tick", "end"),
    ]
    for name, line in lines.items():
        placed = [place(point) for point in sorted(line)]
        if len(placed) == 1:
            parts.append(f'<circle class="{escape(name)}" cx="{placed[0][0]:.1f}" '
                         f'cy="{placed[0][1]:.1f}" r="2.5"/>')  # fmt: skip
        else:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            parts.append(f'<polyline class="{escape(name)}" points="{path}"/>')
    return _svg("curve", _CURVE_WIDTH, _CURVE_HEIGHT, title, parts)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return (f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>")  # fmt: skip


def _svg(kind: str, width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
