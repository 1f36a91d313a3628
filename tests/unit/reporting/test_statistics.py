"""Estimates against hand-worked cases, scipy's tests, closed forms and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from laft_fairseq.reporting.statistics import (
    Estimate,
    Spread,
    corrected,
    estimate,
    holm,
    pooled,
)


def simulated(draws: np.random.Generator, seeds: int, difficulty: np.ndarray, spread: float,
              mean: float = 30.0) -> np.ndarray:  # fmt: skip
    """(S, n): item difficulty is given, each seed has its own level and its own noise."""
    level = draws.normal(0, spread, (seeds, 1))
    return mean + difficulty + level + draws.normal(0, 2, (seeds, len(difficulty)))


def test_no_noise_is_exact() -> None:
    a = np.full((3, 10), 30.0)
    equal, better = estimate(a, a.copy()), estimate(a + 2, a)
    assert (equal.value, equal.error, equal.p, equal.interval()) == (0.0, 0.0, 1.0, (0.0, 0.0))
    assert (better.value, better.error, better.p) == (pytest.approx(2.0), 0.0, 0.0)
    assert better.interval(0.001) == pytest.approx((2.0, 2.0))
    assert better.detectable() == 0.0


def test_shared_items_cancel_in_a_difference() -> None:
    difficulty = np.random.default_rng(0).normal(0, 10, 50)
    a = np.stack([30 + difficulty] * 2)
    assert estimate(a, a - 1).error == 0.0
    assert estimate(a).error == pytest.approx(difficulty.std() / math.sqrt(50))


def test_one_seed_is_the_paired_t_test_of_the_items() -> None:
    draws = np.random.default_rng(1)
    a, b = draws.normal(30.5, 5, (1, 400)), draws.normal(30, 5, (1, 400))
    found = estimate(a, b)
    paired = stats.ttest_rel(a[0], b[0])
    assert found.p == pytest.approx(paired.pvalue, rel=0.1)
    interval = paired.confidence_interval(0.95)
    assert found.interval() == pytest.approx((interval.low, interval.high), abs=0.02)
    assert (found.spread, found.decides) == ("unknown", False)


def test_seeds_alone_are_welchs_t_test() -> None:
    """No noise of items: what is left are 3 and 5 numbers, and Welch's test of them."""
    a = np.array([30.0, 31.0, 32.5])
    b = np.array([28.0, 29.5, 28.5, 30.0, 29.0])
    found = estimate(np.tile(a[:, None], 20), np.tile(b[:, None], 20))
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert found.freedom == pytest.approx(welch.df)
    assert found.p == pytest.approx(welch.pvalue)
    assert found.error == pytest.approx(math.sqrt(a.var(ddof=1) / 3 + b.var(ddof=1) / 5))


def test_a_single_seed_borrows_the_others_spread() -> None:
    """Without noise of items: the pooled t test, which has S - 1 degrees of freedom here."""
    a, b = np.array([30.0, 31.0, 32.5]), np.array([28.0])
    found = estimate(np.tile(a[:, None], 20), np.tile(b[:, None], 20))
    together = stats.ttest_ind(a, b)
    assert (found.spread, found.decides) == ("borrowed", False)
    assert found.freedom == pytest.approx(2)
    assert found.p == pytest.approx(together.pvalue)


def test_the_pooled_spread_is_that_of_an_analysis_of_variance() -> None:
    groups = [np.array([30.0, 31.0, 32.5]), np.array([28.0, 29.0]), np.array([27.0])]
    spread = pooled([np.tile(group[:, None], 4) for group in groups])
    within = sum(((group - group.mean()) ** 2).sum() for group in groups)
    assert spread is not None
    assert (spread.variance, spread.freedom) == (pytest.approx(within / 3), 3)
    assert pooled([np.zeros((1, 4))]) is None


@pytest.mark.parametrize(
    ("means", "lent", "parts"),
    [
        # The t test with the others' pooled variance, which is one variance twice.
        ([30.0], [Spread(0.5, 4), Spread(0.5, 4)], [(1.0, 4)]),
        # Two independent variances: Welch and Satterthwaite.
        ([30.0], [Spread(0.5, 4), Spread(2.0, 2)], [(0.5, 4), (2.0, 2)]),
        # Three seeds of variance 1 against one that systems of its own kind lend 0.75.
        ([30.0, 31.0, 32.0], [None, Spread(0.75, 4)], [(1 / 3, 2), (0.75, 4)]),
        # What is lent holds these three seeds: of its 4 degrees the others have 2, variance 0.5.
        ([30.0, 31.0, 32.0], [None, Spread(0.75, 4, True)], [(1 / 3 + 2 / 4, 2), (0.5 * 2 / 4, 2)]),
    ],
)
def test_a_single_seed_is_lent_a_spread(
    means: list[float], lent: list[Spread | None], parts: list[tuple[float, int]]
) -> None:
    """Without noise of items: the error and its degrees of freedom are those of the parts."""
    a, b = np.tile(np.array(means)[:, None], 20), np.full((1, 20), 28.0)
    found = estimate(a, b, lent)
    total = sum(variance for variance, _ in parts)
    assert (found.spread, found.decides) == ("borrowed", False)
    assert found.error == pytest.approx(math.sqrt(total))
    assert found.freedom == pytest.approx(total**2 / sum(v**2 / freedom for v, freedom in parts))
    assert found.p == pytest.approx(2 * stats.t.sf(found.value / found.error, found.freedom))


def test_one_that_lacks_a_spread_is_unknown() -> None:
    a, b, lent = np.full((1, 20), 30.0), np.full((1, 20), 28.0), Spread(0.5, 4)
    alone = estimate(a, lent=[lent])
    assert (alone.error, alone.spread) == (pytest.approx(math.sqrt(0.5)), "borrowed")
    assert estimate(a, b, [lent, None]).spread == "unknown"


@pytest.mark.parametrize(("seeds", "spread"), [((3, 3), 1.0), ((5, 3), 0.3), ((3, 1), 1.0)])
def test_intervals_cover(seeds: tuple[int, int], spread: float) -> None:
    """Of 400 experiments with a true difference of 1, about 95 % of the intervals hold it.

    More where noise of single outputs prevails, which the bootstrap of both margins overstates; a
    little less with three seeds against one (93 % of 1,000).
    """
    draws = np.random.default_rng(7)
    covered = narrow = 0
    for _ in range(400):
        difficulty = draws.normal(0, 8, 40)
        a = simulated(draws, seeds[0], difficulty, spread, mean=31.0)
        b = simulated(draws, seeds[1], difficulty, spread)
        found = estimate(a, b)
        low, high = found.interval()
        covered += low <= 1.0 <= high
        items = stats.sem(a.mean(0) - b.mean(0))
        narrow += abs(found.value - 1.0) <= 1.96 * items
    assert covered / 400 >= 0.915
    if spread == 1.0:
        assert covered / 400 <= 0.99
        assert narrow / 400 < 0.75  # what leaving the seeds out would give


@pytest.mark.parametrize("freedom", [2.4, 5.0, 12.0])
def test_the_detectable_difference_is_found_in_four_of_five(freedom: float) -> None:
    draws, error = np.random.default_rng(3), 0.5
    true = Estimate(0.0, error, freedom, (5, 5), 100).detectable(0.01)
    # A normal estimate over an independent chi-square error: the model behind the t test.
    values = draws.normal(true, error, 40_000)
    errors = error * np.sqrt(draws.chisquare(freedom, 40_000) / freedom)
    found = values / errors > stats.t.ppf(0.995, freedom)
    assert found.mean() == pytest.approx(0.8, abs=0.01)
    normal = Estimate(0.0, error, math.inf, (5, 5), 100).detectable(0.01)
    assert normal == pytest.approx(error * (stats.norm.ppf(0.995) + stats.norm.ppf(0.8)))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="items"):
        estimate(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="items"):
        estimate(np.zeros((2, 0)))


@pytest.mark.parametrize("seeds", [(3, 5), (2, 1), (1, 1)])
def test_the_error_is_what_resampling_tends_to(seeds: tuple[int, int]) -> None:
    """Seeds S - 1 of S on each side by itself, items n of n for both, drawn 40,000 times."""
    draws = np.random.default_rng(2)
    a, b = (simulated(draws, count, draws.normal(0, 3, 25), 1.0) for count in seeds)
    found = []
    for _ in range(40_000):
        items = draws.integers(0, 25, 25)
        sides = [side[draws.integers(0, len(side), max(1, len(side) - 1))] for side in (a, b)]
        found.append(sides[0][:, items].mean() - sides[1][:, items].mean())
    lent = np.var(a.mean(1), ddof=1) if seeds == (2, 1) else 0.0  # of the one that has no other
    error = math.sqrt(np.var(found) + lent)
    assert estimate(a, b).error == pytest.approx(error, rel=0.012)


def test_holm_by_hand() -> None:
    """Adjusted: 0.01 x 4, 0.02 x 3 and the maximum from there on: 0.03 x 2, 0.04 x 1.

    Levels: 0.001 <= 0.05 / 4, 0.016 <= 0.05 / 3; 0.03 > 0.05 / 2 fails, and the last stays there.
    """
    assert holm([0.04, 0.01, 0.03, 0.02])[0] == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8])[0] == [1.0, 1.0]
    assert holm([]) == ([], [])
    levels = holm([0.03, 0.001, 0.04, 0.016])[1]
    assert levels == pytest.approx([0.05 / 2, 0.05 / 4, 0.05 / 2, 0.05 / 3])


def test_a_side_of_one_seed_eases_no_other_test() -> None:
    """Of four, two decide: 0.01 <= 0.05 / 4, 0.016 <= 0.05 / 3; by its own p the last would too."""
    found = [differing(0.01), differing(0.016), differing(1e-9, seeds=(3, 1)), None]
    adjusted, levels = corrected(found)
    assert adjusted == pytest.approx([0.04, 0.048, 4e-9, 1.0])
    assert levels == pytest.approx([0.05 / 4, 0.05 / 3, 0.05 / 4, 0.05 / 2])
    alone, _ = corrected([found[1], found[2], None])
    assert alone[0] == pytest.approx(0.048)


def differing(p: float, seeds: tuple[int, int] = (3, 3)) -> Estimate:
    """A difference whose two-sided p this is, by the t distribution."""
    return Estimate(float(stats.t.isf(p / 2, 9.0)), 1.0, 9.0, seeds, 9)


def test_an_interval_leaves_zero_out_exactly_where_holm_rejects() -> None:
    draws = np.random.default_rng(5)
    for _ in range(200):
        found = [Estimate(float(v), 1.0, 9.0, (3, 3), 9) for v in draws.normal(2, 2, 5)]
        adjusted, levels = holm([one.p for one in found])
        for one, p, level in zip(found, adjusted, levels, strict=True):
            low, high = one.interval(level)
            assert (not low <= 0 <= high) == (p <= 0.05)
