"""How often the tables' 95 % intervals hold the true difference, and tests find a false one.

Simulates systems of which the truth is known: each test item has its difficulty, each seed its own
level and its own noise on every output, all normal, and the true difference is 0. Prints, for each
case, the share of intervals that hold 0, and how many times more often than its level the test at
0.05 / 14 (one of 14 corrected contrasts) rejects. Columns as in docs/statistics.md.

    python benchmarks/coverage.py --experiments 4000
"""

import argparse

import numpy as np
from tabulate import tabulate

from laft_fairseq.tables.statistics import Scores, estimate, pooled

LEVEL = 0.05 / 14
COLUMNS = ("seeds", "sd of seeds", "sd of an output", "items", "lent by",
           "95 % intervals that hold it", "false findings at 0.05 / 14")  # fmt: skip
# Of both sides: seeds, their standard deviations; then that of an output, the number of items, and
# the systems of three seeds that lend a side of one seed their spread: of its method, of others.
CASES = (
    ((3, 3), (1, 1), 2, 40, 0, 0),
    ((2, 2), (1, 1), 2, 40, 0, 0),
    ((5, 3), (1, 1), 2, 40, 0, 0),
    ((3, 3), (0.6, 1.2), 2, 40, 0, 0),
    ((5, 5), (0.5, 0.5), 12, 1000, 0, 0),
    ((3, 1), (1, 1), 2, 40, 0, 0),
    ((3, 1), (0.6, 1.2), 2, 40, 0, 0),
    ((3, 1), (1, 1), 2, 40, 0, 4),
    ((3, 1), (0.6, 1.2), 2, 40, 0, 4),
    ((3, 1), (0.6, 1.2), 2, 40, 1, 0),
    ((3, 1), (0.6, 1.2), 2, 40, 2, 0),
    ((5, 1), (1.2, 0.6), 2, 40, 2, 0),
)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=4000,
                        help="a case; a tenth of them at 1,000 items")  # fmt: skip
    rows = []
    experiments = parser.parse_args().experiments
    for seeds, spreads, noise, items, same_method, others in CASES:
        draws = np.random.default_rng(7)
        count = experiments if items <= 100 else max(1, experiments // 10)
        covered = rejected = 0
        for _ in range(count):
            difficulty = draws.normal(0, 8, items)

            def system(seeds: int, spread: float) -> Scores:
                """(S, n) scores."""
                level = draws.normal(0, spread, (seeds, 1))  # noqa: B023
                return 30 + difficulty + level + draws.normal(0, noise, (seeds, items))  # noqa: B023

            a, b = map(system, seeds, spreads)
            lending = [system(3, float(np.mean(spreads))) for _ in range(others)]
            same = [system(3, spreads[1]) for _ in range(same_method)]
            lent = pooled(same) if same else pooled([a, b, *lending], holds_other=True)
            difference = estimate(a, b, [None, lent])
            low, high = difference.interval()
            covered += low <= 0 <= high
            rejected += difference.p < LEVEL
        lenders = f"{same_method} of its method" if same_method else "the other"
        lenders += f" and {others}" if others else ""
        rows.append([
            f"{seeds[0]} and {seeds[1]}", f"{spreads[0]:g}, {spreads[1]:g}", noise, f"{items:,}",
            lenders if 1 in seeds else "", f"{100 * covered / count:.1f} %",
            f"{rejected / count / LEVEL:.1f} times the level",
        ])  # fmt: skip
    print(tabulate(rows, COLUMNS, "pipe", disable_numparse=True))


if __name__ == "__main__":
    main()
