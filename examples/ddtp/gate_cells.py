"""Result cells as the gates read them: from files, by what was run, averaged over seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError

Cell = Mapping[str, Any]  # laft-result/1
SOURCE, TARGETS = "en_XX", ("fr_XX", "zh_CN")
NEEDED = ("task", "setting", "method", "variant", "lang", "seed", "scores")


@dataclass(frozen=True)
class Row:
    """One system in one language, averaged over its seeds.

    Attributes:
        f, low, high: ROUGE-L and its interval.
        lead, lead_low, lead_high: LEAD-1's on the same items.
        right, reference_right: share in the right language; None if all is undecidable.
        length: tokens of the outputs to tokens of the references.
    """

    f: float
    low: float
    high: float
    lead: float
    lead_low: float
    lead_high: float
    right: float | None
    reference_right: float | None
    length: float | None
    seeds: int

    @property
    def margin(self) -> tuple[float, float, float]:
        """ROUGE-L above LEAD-1 with the system's interval; LEAD-1, on the same items, is fixed."""
        return self.f - self.lead, self.low - self.lead, self.high - self.lead


def average(cells: Sequence[Cell]) -> Row | None:
    """The mean over seeds; None without a cell."""
    if not cells:
        return None

    def mean(*path: str) -> float | None:
        values = []
        for cell in cells:
            value: Any = cell["scores"]
            for key in path:
                value = value[key]
            values.append(value)
        return None if None in values else sum(values) / len(values)

    parts = ("f", "low", "high")
    own = [mean("rougeL", part) for part in parts]
    lead = [mean("floors", "lead1", "rougeL", part) for part in parts]
    rest = [mean(key) for key in ("right_language", "reference_right_language", "length_ratio")]
    return Row(*own, *lead, *rest, len(cells))  # type: ignore[call-arg, arg-type]


def find(cells: Iterable[Cell], lang: str, **wanted: str) -> list[Cell]:
    """Headline cells of fully tuned mBART in a language that fit."""
    wanted = {"method": "mbart_full", "task": "headlines", "lang": lang, **wanted}
    return [cell for cell in cells if all(cell[key] == value for key, value in wanted.items())]


def read_json(path: Path) -> Any:
    """A JSON file. Raises LaftError if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LaftError(f"{path}: cannot be read as JSON ({error})") from None


@dataclass(frozen=True)
class Results:
    """What a folder of results holds.

    Attributes:
        cells: the `laft-result/1` of it.
        targets: the experiment's target languages.
        supervised: the languages that have human pairs to train on, the source last.
    """

    cells: list[Cell]
    targets: list[str]
    supervised: list[str]


def with_human_pairs(experiment: Mapping[str, Any]) -> list[str]:
    """An experiment's languages in which supervised training can be tested, the source last."""
    lacking = {
        each["lang"]
        for each in experiment.get("not_testable", [])
        if each["setting"] == "supervised"
    }
    found = [lang for lang in experiment["targets"] if lang not in lacking]
    return [*found, experiment.get("source", SOURCE)]


def read_results(folder: Path) -> Results:
    """All `laft-result/1` cells below a folder, and what its experiment says of languages.

    Raises:
        LaftError: no such folder; a file is not JSON, or a cell lacks a field or LEAD-1.
    """
    if not folder.is_dir():
        raise LaftError(f"{folder}: no such folder of results")
    cells: list[Cell] = []
    targets, supervised = list(TARGETS), [TARGETS[0], SOURCE]
    for path in sorted(folder.rglob("*.json")):
        content = read_json(path)
        kind = content.get("format") if isinstance(content, dict) else None
        if kind == "laft-experiment/1":
            targets, supervised = list(content["targets"]), with_human_pairs(content)
        if kind != "laft-result/1":
            continue
        lacking = [key for key in NEEDED if key not in content]
        if lacking or "lead1" not in content["scores"].get("floors", {}):
            raise LaftError(f"{path}: lacks {', '.join(lacking) or 'scores.floors.lead1'}")
        cells.append(content)
    return Results(cells, targets, supervised)
