"""Read a folder of result files, and refuse what does not belong together."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from laft_fairseq.errors import LaftError
from laft_fairseq.tables import names
from laft_fairseq.tables.statistics import Scores

FORMATS = ("laft-result/1", "laft-experiment/1", "laft-gates/1", "laft-representations/1")
_AGAIN = "delete it and run its cell again"
_ROUNDED = 1e-3  # items are rounded to four decimals
_REQUIRED: dict[str, type | tuple[type, ...]] = {
    "task": str,
    "setting": str,
    "method": str,
    "variant": str,
    "lang": str,
    "seed": int,
    "selection": str,
    "scores": dict,
    "items": dict,
}


@dataclass(frozen=True, order=True)
class Row:
    """What is trained and tested, whatever the seed."""

    task: str
    setting: str
    method: str
    variant: str
    lang: str
    selection: str

    @property
    def title(self) -> str:
        """The system's name on the page."""
        return names.system(self.method, self.variant)


@dataclass(frozen=True)
class Cell:
    """One trained system, one seed, one test language: a file `laft-result/1`."""

    path: Path
    row: Row
    seed: int
    rouge_l: Scores  # (n,), 0 to 100, in test order
    data: dict[str, Any]

    @property
    def scores(self) -> dict[str, Any]:
        """What `laft score --json` wrote."""
        scores: dict[str, Any] = self.data["scores"]
        return scores


@dataclass(frozen=True)
class Results:
    """All of a folder. `experiment` is empty and `gates` None where the file is not there."""

    folder: Path
    cells: list[Cell] = field(default_factory=list)
    experiment: dict[str, Any] = field(default_factory=dict)
    gates: list[dict[str, Any]] | None = None
    representations: dict[str, dict[str, Any]] = field(default_factory=dict)  # by variant
    figure: Path | None = None
    left_out: list[Path] = field(default_factory=list)  # JSON files that state no format

    def seeds_of(self, row: Row) -> list[Cell]:
        """The row's cells, by seed."""
        return sorted((c for c in self.cells if c.row == row), key=lambda cell: cell.seed)


def read(folder: Path) -> Results:
    """Read `folder` and the folders in it.

    Raises:
        LaftError: no such folder, a damaged file, an unknown format or name, a cell given twice,
            or cells of one test set with different items.
    """
    if not folder.is_dir():
        raise LaftError(f"{folder}: no such folder; give the one that the runs wrote results to")
    results, once = Results(folder, gates=None), dict[str, Path]()
    gates, experiment = None, dict[str, Any]()
    for path, data in _files(folder):
        form = data.get("format")
        if form is None:
            results.left_out.append(path)
        elif form not in FORMATS:
            raise LaftError(
                f"{path}: unknown format {form!r}; this version reads {', '.join(FORMATS)}: "
                "use the version of laft_fairseq that wrote it"
            )
        elif form == "laft-result/1":
            results.cells.append(_cell(path, data))
        elif form == "laft-representations/1":
            variant = str(data.get("variant", "main"))
            _once(once, f"representations of {variant}", path)
            results.representations[variant] = data
        else:
            _once(once, form, path)
            if form == "laft-gates/1":
                gates = _gates(path, data)
            else:
                experiment = _experiment(path, data)
    _check_cells(results.cells)
    figures = sorted(folder.rglob("figure2.png"))
    return Results(folder, sorted(results.cells, key=lambda c: (c.row, c.seed)), experiment, gates,
                   results.representations, figures[0] if figures else None,
                   results.left_out)  # fmt: skip


def _files(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(folder.rglob("*.json")):
        if path.name.startswith("."):  # half-written by a run that is still going
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise LaftError(f"{path}: damaged JSON ({error}); {_AGAIN}") from error
        except OSError as error:
            raise LaftError(f"{path}: cannot be read ({error.strerror})") from error
        yield path, data if isinstance(data, dict) else {}


def _once(seen: dict[str, Path], what: str, path: Path) -> None:
    if what in seen:
        raise LaftError(f"{path}: {what} was already given by {seen[what]}; remove one of the two")
    seen[what] = path


def _cell(path: Path, data: dict[str, Any]) -> Cell:
    for key, kind in _REQUIRED.items():
        if not isinstance(data.get(key), kind) or isinstance(data.get(key), bool):
            raise LaftError(f"{path}: {key!r} is missing or of the wrong kind; {_AGAIN}")
    for key, known in (("task", names.TASKS), ("setting", names.SETTINGS),
                       ("method", names.METHODS), ("selection", names.SELECTIONS)):  # fmt: skip
        if data[key] not in known:
            raise LaftError(f"{path}: unknown {key} {data[key]!r}; choose from {', '.join(known)}")
    row = Row(*(data[key] for key in ("task", "setting", "method", "variant", "lang",
                                      "selection")))  # fmt: skip
    return Cell(path, row, data["seed"], _items(path, data), data)


def _items(path: Path, data: dict[str, Any]) -> Scores:
    """The items' ROUGE-L -> (n,); held against the score that they make up."""
    items, total = data["items"].get("rougeL"), data["scores"].get("rougeL")
    if not isinstance(items, list) or not items or not all(_is_score(item) for item in items):
        raise LaftError(
            f"{path}: items.rougeL is no list of numbers from 0 to 100; score it with --items"
        )
    if not isinstance(total, dict) or not _is_score(total.get("f")):
        raise LaftError(f"{path}: scores.rougeL.f is no number from 0 to 100; {_AGAIN}")
    mean = float(np.mean(items))
    if abs(mean - total["f"]) > _ROUNDED:
        raise LaftError(
            f"{path}: its items have a mean ROUGE-L of {mean:.3f}, but scores.rougeL.f is "
            f"{total['f']:.3f}; items and scores are not of one run: {_AGAIN}"
        )
    return np.array(items, dtype=np.float64)


def _is_score(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value <= 100 + _ROUNDED


def _check_cells(cells: list[Cell]) -> None:
    seen: dict[str, Path] = {}
    length: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        row = cell.row
        what = " ".join([*(getattr(row, key) for key in row.__dataclass_fields__), f"{cell.seed}"])
        _once(seen, f"the cell {what}", cell.path)
        first = length.setdefault((row.task, row.lang), cell)
        if len(first.rouge_l) != len(cell.rouge_l):
            raise LaftError(
                f"{cell.path}: {len(cell.rouge_l)} items of {row.task} in {row.lang}, but "
                f"{first.path} has {len(first.rouge_l)}; systems are compared on the same items: "
                "score all of them on one test set"
            )


def _gates(path: Path, data: dict[str, Any]) -> list[dict[str, Any]]:
    gates = data.get("gates")
    whole = isinstance(gates, list) and all(isinstance(gate, dict) for gate in gates)
    if not whole or any(gate.get("passed") not in (True, False, None) for gate in gates or []):
        raise LaftError(f"{path}: gates is no list of gates with passed true, false or null")
    return list(gates or [])


def _experiment(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    """Check what the comparisons rest on."""
    for contrast in data.get("contrasts", []):
        lacking = [k for k in ("setting", "lang", "method", "variant") if k not in contrast]
        if lacking:
            raise LaftError(f"{path}: a contrast without {', '.join(lacking)}: {contrast}")
    return data
