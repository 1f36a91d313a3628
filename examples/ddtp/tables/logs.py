"""What the trainings' logs say: learning curves, validation scores, and the choice of a rate."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def records(text: str) -> list[tuple[str, dict[str, Any]]]:
    """(`train_inner` or `valid`, numbers) of each JSON line that fairseq-train logged."""
    found = []
    for line in text.splitlines():
        parts = line.split(" | ", 3)
        if len(parts) < 4 or parts[2] not in {"train_inner", "valid"}:
            continue
        try:
            values = json.loads(parts[3])
        except ValueError:
            continue  # a line that a killed training left half written
        if isinstance(values, dict):
            found.append((parts[2], values))
    return found


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def curve(text: str, stage: int) -> list[dict[str, Any]]:
    """Points of the learning curve; of an update that was done twice the later one counts."""
    points: dict[tuple[str, int], float] = {}
    for kind, values in records(text):
        split = "train" if kind == "train_inner" else "valid"
        prefix = "" if split == "train" else "valid_"
        loss = _number(values.get(f"{prefix}loss"))
        update = _number(values.get(f"{prefix}num_updates"))
        if loss is not None and update is not None:
            points[split, int(update)] = loss
    return [
        {"stage": stage, "update": update, "split": split, "loss": loss}
        for (split, update), loss in sorted(points.items(), key=lambda point: point[0][::-1])
    ]


def validation(text: str) -> dict[str, float]:
    """ROUGE-L by language in the last validation that generated text."""
    last: dict[str, float] = {}
    for kind, values in records(text):
        if kind != "valid":
            continue
        scores = {
            key.removeprefix("valid_rougeL_"): number
            for key, value in values.items()
            if key.startswith("valid_rougeL_") and (number := _number(value)) is not None
        }
        last = scores or last
    return last


def held_out_loss(text: str) -> float | None:
    """The loss in the last validation; None if there is none."""
    found = [_number(values.get("valid_loss")) for kind, values in records(text) if kind == "valid"]
    return next((loss for loss in reversed(found) if loss is not None), None)


def lowest(losses: Mapping[str, float | None]) -> str:
    """The rate with the lowest loss; of equals the first.

    Raises ValueError where a training of the grid has none: a choice among the others would not
    be the same for all rows.
    """
    known = {rate: loss for rate, loss in losses.items() if loss is not None}
    for rate in losses:
        if rate not in known:
            raise ValueError(f"no validation loss at rate {rate}")
    return min(known, key=lambda rate: known[rate])


def choose(scores: Mapping[str, Mapping[str, float]], langs: Iterable[str]) -> str:
    """The rate whose mean ROUGE-L over the languages is highest; of equals the first.

    Raises ValueError where a training of the grid has no score: a choice among the others would
    not be the same for all rows.
    """
    langs = list(langs)
    for rate, by_language in scores.items():
        for lang in langs:
            if lang not in by_language:
                raise ValueError(f"no validation ROUGE-L in {lang} at rate {rate}")
    means = {rate: sum(found[lang] for lang in langs) for rate, found in scores.items()}
    return max(means, key=lambda rate: means[rate])


def failure(path: Path, lines: int = 2) -> str:
    """The end of a log in one line: what went wrong."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "no log"
    found = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in found if "error" in line.lower()]
    return " / ".join((errors or found)[-lines:])[-400:] or "empty log"
