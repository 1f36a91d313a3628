"""Human pairs of a target beside the English ones: which of them, and how often each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.sources import Row, Sources, read_pairs

FEW_SHOT_SHARE = 0.2  # of a few-shot data set's pairs that are the target's, by repetition


def repeats(english: int, pairs: int) -> int:
    """How often so many pairs are taken, to make up their share beside so many English ones."""
    return max(1, round(FEW_SHOT_SHARE / (1 - FEW_SHOT_SHARE) * english / pairs))


def few_shot(rows: Sequence[Row], english: int, count: int) -> tuple[list[Row], dict[str, Any]]:
    """The first `count` rows, repeated, and what a result records of them."""
    if not 0 < count <= len(rows):
        raise ValueError(f"{len(rows)} human pairs, FEW_SHOT asks for {count}")
    times = repeats(english, count)
    share = count * times / (english + count * times)
    told = {"pairs": count, "repeats": times, "share": round(share, 4)}
    return list(rows[:count]) * times, told


def oracle(rows: Sequence[Row], english: set[str], most: int) -> tuple[list[Row], dict[str, Any]]:
    """As many rows as translate-train has: translations of its English pairs first."""
    first = [row for row in rows if row[1] in english]
    chosen = [*first, *(row for row in rows if row[1] not in english)][:most]
    return chosen, {"pairs": len(chosen), "translations": min(len(first), most)}


def chosen(rows: Sequence[Row], budget: Budget, kind: str,
           english: Sequence[Row]) -> tuple[list[Row], dict[str, Any]]:  # fmt: skip
    """The target's training pairs of a data set, and what a result records of them.

    Args:
        rows: all human pairs of the target.
        budget: how many of them the oracle gets.
        kind: `oracle`, `few-shot-10`.
        english: the run's English training pairs.
    """
    if kind == "oracle":
        return oracle(rows, {row[1] for row in english}, budget.pairs)
    return few_shot(rows, len(english), int(kind.removeprefix("few-shot-")))


def recorded(sources: Sources, budget: Budget, langs: Sequence[str],
             english: Sequence[Row]) -> dict[str, dict[str, Any]]:  # fmt: skip
    """{data set: what a result records of its pairs}, of all that the plan may have."""
    found = {}
    for lang in langs:
        rows = read_pairs(sources.pairs(lang, "train"))
        for kind in ("oracle", *(f"few-shot-{count}" for count in budget.few_shot)):
            found[f"{kind}.{lang}"] = chosen(rows, budget, kind, english)[1]
    return found
