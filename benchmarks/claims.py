"""What is asked of the numbers: one row against another, at most so much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = {"time": "step_s", "memory": "peak_mb", "disk": "written_mb"}


@dataclass(frozen=True)
class Claim:
    """``row`` over ``against``, of time, peak memory or bytes written, is at most ``most``.

    Without ``most`` the ratio is stated alone.
    """

    row: str
    against: str
    kind: str
    most: float | None = None


def found(claims: tuple[Claim, ...], rows: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each claim whose rows were measured, with its ratio and the floor that was counted."""
    results = []
    for claim in claims:
        key = KINDS[claim.kind]
        own, other = rows.get(claim.row, {}), rows.get(claim.against, {})
        if not own.get(key) or not other.get(key):
            continue
        counted = claim.kind == "time" and own.get("gflop") and other.get("gflop")
        results.append({
            "row": claim.row, "against": claim.against, "kind": claim.kind, "most": claim.most,
            "ratio": own[key] / other[key],
            "cpu": own["cpu_s"] / other["cpu_s"]
            if claim.kind == "time" and own.get("cpu_s") and other.get("cpu_s") else None,
            "floor": own["gflop"] / other["gflop"] if counted else None,
        })  # fmt: skip
    return results
