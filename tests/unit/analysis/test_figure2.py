"""Figure 2's drawing: what stands in the caption is drawn letter by letter."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from laft_fairseq.analysis.figure2 import PALETTE, Panel, colours, draw, save

COMMAND = "$ laft tsne --json $OUT/figure2.json --out $OUT/figure2.png"


def panel() -> Panel:
    points = np.array([[0.0, 1.0], [1.0, 0.0]])
    return Panel({"en_XX": points, "fr_XX": points + 0.5}, ["silhouette 0.068"])


def test_a_command_with_variables_is_no_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = draw([[panel()]], ["en_XX fr_XX"], ["e"], [COMMAND])
    written = " ".join(word for text in figure.texts for word in text.get_text().split())
    assert COMMAND in written
    formulas = []
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    monkeypatch.setattr(renderer, "draw_mathtext", lambda *rest: formulas.append(rest[4]))
    figure.draw(renderer)
    assert not formulas


def test_it_is_saved_with_its_description(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    save(draw([[panel()]], ["en_XX fr_XX"], ["e"], ["caption"]), path, COMMAND)
    assert COMMAND.encode() in path.read_bytes()


def test_the_first_language_has_a_colour_of_its_own() -> None:
    """It is in every row, each beside one of the others, however many."""
    tags = [f"l{place}_XX" for place in range(15)]
    given = colours(tags)
    assert list(given.values()).count(PALETTE[0]) == 1 and given[tags[0]] == PALETTE[0]
    assert set(given.values()) == set(PALETTE)
