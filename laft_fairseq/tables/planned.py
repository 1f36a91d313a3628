"""Which seeds that were planned are still to come: a verdict before them is an interim one."""

from collections.abc import Mapping, Sequence

from laft_fairseq.tables.comparisons import Comparison, System
from laft_fairseq.tables.results import Results

NEAREST = "nearest rivals"  # in the budget's seeds: what the best rival gets


def lacking(
    results: Results, rivals: Sequence[Comparison], best: Comparison
) -> list[tuple[str, int, int]]:
    """`("LAFT", 3, 5)`: 3 of 5 seeds, for each system of a language that the verdict reads.

    Args:
        results: whose experiment's `budget.seeds` is a number, or numbers by method; without it
            nothing is known to be lacking.
        rivals: the contrasts of one language.
        best: that of the best rival.
    """
    seeds = (results.experiment.get("budget") or {}).get("seeds")
    found = []
    systems = [best.laft, *(one.rival for one in rivals)]
    for system in filter(None, systems):
        wanted = _wanted(seeds, system, system is best.rival)
        if len(system.cells) < wanted:
            found.append((system.row.title, len(system.cells), wanted))
    return found


def _wanted(seeds: object, system: System, nearest: bool) -> int:
    if isinstance(seeds, Mapping):
        own = [seeds.get(system.row.method), seeds.get(NEAREST) if nearest else None]
        return max((count for count in own if isinstance(count, int)), default=0)
    return seeds if isinstance(seeds, int) else 0
