"""Which seeds that were planned are still to come: a verdict before them is an interim one."""

from collections.abc import Mapping, Sequence

from laft_fairseq.tables.comparisons import Comparison
from laft_fairseq.tables.results import Results

NEAREST = "nearest rivals"  # in the budget's seeds: what LAFT's nearest rivals get


def lacking(
    results: Results, rivals: Sequence[Comparison], best: Comparison
) -> list[tuple[str, int, int]]:
    """`("LAFT", 3, 5)`: 3 of 5 seeds, for each system of a language that the verdict reads.

    Args:
        results: whose experiment's `budget.seeds` is a number, or numbers by method; without it
            nothing is known to be lacking. Its `nearest` names the rivals that get more seeds, once
            the run has found them; before, it is the best one of a language.
        rivals: the contrasts of one language, run or not.
        best: that of the best rival.
    """
    experiment = results.experiment
    seeds, nearest = (experiment.get("budget") or {}).get("seeds"), experiment.get("nearest")
    systems = [("laft", "LAFT", best.laft, False)]
    for one in rivals:
        near = f"{one.method}.{one.variant}" in nearest if nearest is not None else one is best
        systems.append((one.method, one.title, one.rival, near))
    found = []
    for method, title, system, near in systems:
        there, wanted = len(system.cells) if system else 0, _wanted(seeds, method, near)
        if there < wanted:
            found.append((title, there, wanted))
    return found


def _wanted(seeds: object, method: str, near: bool) -> int:
    if isinstance(seeds, Mapping):
        own = [seeds.get(method), seeds.get(NEAREST) if near else None]
        return max((count for count in own if isinstance(count, int)), default=0)
    return seeds if isinstance(seeds, int) else 0
