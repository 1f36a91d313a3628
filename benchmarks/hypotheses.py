"""Whether contenders of the `decode` suite wrote the same texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measure import Run

WRITTEN = re.compile(r"^hypotheses (\[.*\])$", re.MULTILINE)


def written(run: Run) -> list[list[int]] | None:
    """The best hypothesis of each text, or None where the contender prints none."""
    found = WRITTEN.search(run.output)
    return json.loads(found[1]) if found else None


def compare(rows: dict[str, dict[str, Any]], runs: Mapping[str, Sequence[Run]]) -> None:
    """Give each row `same`, the share of its hypotheses that are the first row's, in place."""
    if not rows:
        return
    first = written(runs[next(iter(rows))][0])
    if first is None:
        return
    for name, row in rows.items():
        own = written(runs[name][0]) or []
        alike = sum(a == b for a, b in zip(own, first, strict=False))
        row["same"] = alike / max(len(own), len(first))  # what one side lacks is not the same
