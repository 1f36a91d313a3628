"""Reads result files, from a folder or from one `cells.jsonl.xz`, and refuses what is damaged."""

import json
import lzma
import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from laft_fairseq.errors import LaftError
from laft_fairseq.files import lines
from laft_fairseq.reporting import names
from laft_fairseq.reporting.schemas import AGAIN, SCHEMAS, check, is_number
from laft_fairseq.reporting.statistics import Scores

_ROUNDED = 1e-3  # items are rounded to four decimals


@dataclass(frozen=True)
class Row:
    """What is trained and tested, whatever the seed."""

    task: str
    setting: str
    method: str
    variant: str
    lang: str
    selection: str = "source"

    @property
    def title(self) -> str:
        """The system's name on the page."""
        return names.system(self.method, self.variant)


@dataclass(frozen=True)
class Cell:
    """One trained system, one seed, one test language: a document `laft-result/1`."""

    file: str
    row: Row
    seed: int
    rouge_l: Scores  # (n,), 0 to 100, in test order
    data: dict[str, Any]


@dataclass
class Results:
    """Everything read from one place; `sanity_checks` is None where no file gives them."""

    cells: list[Cell] = field(default_factory=list)
    experiment: dict[str, Any] = field(default_factory=dict)
    sanity_checks: list[dict[str, Any]] | None = None
    representations: dict[str, dict[str, Any]] = field(default_factory=dict)  # by variant
    figure: Path | None = None
    left_out: list[str] = field(default_factory=list)  # files that state no format

    @property
    def targets(self) -> list[str]:
        """The target languages' tags: the experiment's, or those of the cells."""
        langs = {cell.row.lang for cell in self.cells if cell.row.task == "headlines"}
        return self.experiment.get("targets") or sorted(langs - {"en_XX"}) or ["fr_XX", "zh_CN"]


def documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every JSON document of a folder, or of a file that `pack` made, with its file's name.

    Raises:
        LaftError: nothing there, or a damaged file.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            if not file.name.startswith("."):  # half-written by a run that is still going
                data = _parse("\n".join(lines(file)), str(file))
                yield file.relative_to(path).as_posix(), data if isinstance(data, dict) else {}
    elif path.is_file():
        for number, line in enumerate(lines(path), 1):
            data = _parse(line, f"{path}: line {number}")
            if not isinstance(data, dict) or not isinstance(data.get("file"), str):
                raise LaftError(f"{path}: line {number} names no file; write it with --cells")
            yield data.pop("file"), data
    else:
        raise LaftError(f"{path}: no such folder or file; give the one that holds the results")


def pack(given: Sequence[tuple[str, dict[str, Any]]]) -> bytes:
    """Return documents as JSON lines, each with its file's name, compressed: a `cells.jsonl.xz`."""
    packed = [json.dumps({"file": name, **data}) for name, data in given]
    return lzma.compress("".join(f"{line}\n" for line in packed).encode(), preset=9)


def read(path: Path) -> Results:
    """Read a folder and the folders in it, or a `cells.jsonl.xz`.

    Raises:
        LaftError: nothing there, a damaged file, an unknown format or name, a cell given twice,
            or cells of one test set with different items.
    """
    return collect(list(documents(path)), path)


def collect(given: Sequence[tuple[str, dict[str, Any]]], path: Path) -> Results:
    """Check documents read from `path` and sort them by kind; errors as `read`."""
    results, seen = Results(), dict[str, str]()
    for file, data in given:
        where = str(path / file) if path.is_dir() else f"{path}: {file}"
        what = data.get("format")
        if what is None:
            if "validation" not in data:  # how a learning rate was chosen: not on the page
                results.left_out.append(file)
            continue
        if what not in list(SCHEMAS):
            raise LaftError(
                f"{where}: unknown format {what!r}; this version reads {', '.join(SCHEMAS)}: "
                "use the version of laft_fairseq that wrote it"
            )
        check(data, SCHEMAS[what], "", where)
        if what == "laft-result/1":
            row = Row(*(data[key] for key in Row.__dataclass_fields__))
            data = {**data, "scores": _shares_of_all(data["scores"])}
            results.cells.append(Cell(file, row, data["seed"], _items(where, data), data))
            what = f"the cell {' '.join(astuple(row))} {data['seed']}"
        elif what == "laft-representations/1":
            variant = data.get("variant") or "main"
            results.representations[variant] = data
            what = f"representations of {variant}"
        elif what == "laft-gates/1":
            results.sanity_checks = data["gates"]
        else:
            results.experiment = data
        if what in seen:
            raise LaftError(f"{where}: {what} was already given by {seen[what]}; remove one")
        seen[what] = where
    first: dict[tuple[str, str], Cell] = {}
    for cell in results.cells:
        other, n = first.setdefault((cell.row.task, cell.row.lang), cell), len(cell.rouge_l)
        if len(other.rouge_l) != n:
            raise LaftError(
                f"{path}: {cell.file} has {n} items of {cell.row.task} in {cell.row.lang}, "
                f"{other.file} has {len(other.rouge_l)}; score all systems on one test set"
            )
    figures = path.rglob("figure2.png") if path.is_dir() else path.parent.glob("figure2.png")
    results.figure = min(figures, default=None)
    return results


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LaftError(f"{where}: damaged JSON ({error}); {AGAIN}") from error


def _shares_of_all(scores: dict[str, Any]) -> dict[str, Any]:
    """Return the scores with right-language shares of all outputs.

    Score version 1 gave shares of the outputs whose language could be decided.
    """
    if "|version:1|" not in f"{scores.get('signature')}|":
        return scores
    converted = dict(scores)
    for of in ("", "reference_"):
        share: Any = scores.get(f"{of}right_language")
        undecidable: Any = scores.get(f"{of}undecidable")
        if is_number(undecidable):
            share = share if is_number(share) else 0.0  # None where nothing was decidable
            converted[f"{of}right_language"] = share * (100 - undecidable) / 100
    return converted


def _items(where: str, data: dict[str, Any]) -> Scores:
    """Return the items' ROUGE-L, (n,); their mean has to be the cell's score."""
    items, total = data["items"]["rougeL"], data["scores"]["rougeL"]["f"]
    if not items or not all(0 <= item <= 100 + _ROUNDED for item in items):
        raise LaftError(f"{where}: items.rougeL is no list of numbers from 0 to 100; "
                        "score it with --items")  # fmt: skip
    mean = math.fsum(items) / len(items)
    if abs(mean - total) > _ROUNDED:
        raise LaftError(
            f"{where}: its items have a mean ROUGE-L of {mean:.3f}, but scores.rougeL.f is "
            f"{total:.3f}; items and scores are not of one run: {AGAIN}"
        )
    return np.array(items, dtype=np.float64)
