"""How often do the tables' intervals hold the true difference, and tests find what is not there?

Simulated systems of which the truth is known: each test item has its difficulty, each seed its own
level and its own noise on every output, all normal. For each case, `estimate` of two systems whose
true difference is 0; what is printed is the share of 95 % intervals that hold it, and how many
times more often than the level the test at 0.05 / 14 (one of 14 corrected contrasts) rejects.
Lent by: the systems of three seeds whose pooled spread the side of one seed takes, which are of
its own method and vary as it does, or else of all methods, the other side among them.

    python benchmarks/coverage.py --experiments 4000
"""

import argparse
from dataclasses import dataclass

import numpy as np

from laft_fairseq.tables.statistics import Scores, estimate, pooled

FAMILY = 14


@dataclass(frozen=True)
class Case:
    """Seeds of both sides, their standard deviations, that of an output, items, lenders."""

    seeds: tuple[int, int]
    spreads: tuple[float, float]
    noise: float
    items: int
    own: int = 0  # systems of the second side's method
    others: int = 0

    @property
    def lent(self) -> str:
        """Who lends the side of one seed its spread, in words."""
        if min(self.seeds) > 1:
            return ""
        if self.own:
            return f"{self.own} of its method"
        return f"the other and {self.others}" if self.others else "the other"


CASES = (
    Case((3, 3), (1, 1), 2, 40),
    Case((2, 2), (1, 1), 2, 40),
    Case((5, 3), (1, 1), 2, 40),
    Case((3, 3), (0.6, 1.2), 2, 40),
    Case((5, 5), (0.5, 0.5), 12, 1000),
    Case((3, 1), (1, 1), 2, 40),
    Case((3, 1), (0.6, 1.2), 2, 40),
    Case((3, 1), (1, 1), 2, 40, others=4),
    Case((3, 1), (0.6, 1.2), 2, 40, others=4),
    Case((3, 1), (0.6, 1.2), 2, 40, own=1),
    Case((3, 1), (0.6, 1.2), 2, 40, own=2),
    Case((5, 1), (1.2, 0.6), 2, 40, own=2),
)


def system(draws: np.random.Generator, seeds: int, spread: float, noise: float,
           difficulty: Scores) -> Scores:  # fmt: skip
    """Made-up scores (S, n)."""
    level = draws.normal(0, spread, (seeds, 1))
    return 30 + difficulty + level + draws.normal(0, noise, (seeds, len(difficulty)))


def run(case: Case, experiments: int, seed: int) -> tuple[float, float]:
    """Coverage at 95 %, and false findings at 0.05 / FAMILY, both as shares."""
    draws = np.random.default_rng(seed)
    covered = found = 0
    for _ in range(experiments):
        difficulty = draws.normal(0, 8, case.items)
        a, b = (system(draws, s, spread, case.noise, difficulty)
                for s, spread in zip(case.seeds, case.spreads, strict=True))  # fmt: skip
        others = [system(draws, 3, float(np.mean(case.spreads)), case.noise, difficulty)
                  for _ in range(case.others)]  # fmt: skip
        own = [system(draws, 3, case.spreads[1], case.noise, difficulty) for _ in range(case.own)]
        lent = pooled(own) if own else pooled([a, b, *others], holds_other=True)
        one = estimate(a, b, [None, lent])
        low, high = one.interval()
        covered += low <= 0 <= high
        found += one.p < 0.05 / FAMILY
    return covered / experiments, found / experiments


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--experiments", type=int, default=4000, help="a case; items over 100: a tenth"
    )
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    print("| seeds | sd of seeds | sd of an output | items | lent by | 95 % intervals that hold it "
          "| false findings at 0.05 / 14 |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for case in CASES:
        count = args.experiments if case.items <= 100 else max(1, args.experiments // 10)
        coverage, false = run(case, count, args.seed)
        print(f"| {case.seeds[0]} and {case.seeds[1]} | {case.spreads[0]:g}, {case.spreads[1]:g} | "
              f"{case.noise:g} | {case.items:,} | {case.lent} | {100 * coverage:.1f} % | "
              f"{false * FAMILY / 0.05:.1f} times the level |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
