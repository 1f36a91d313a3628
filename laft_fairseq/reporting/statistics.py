"""Is a difference between two systems more than noise of seeds and of test items?

A system is an array (S, n): S training seeds, each scored on the same n test items. The standard
error of a mean or a difference is that of a hierarchical bootstrap in closed form: what ever more
resamples tend to, when seeds are drawn with replacement on each side by itself, S - 1 of S, so that
their part of the variance is unbiased (Rao and Wu, 1988), and items with replacement, shared by
both sides. Resampling both margins overstates rather than understates their interaction (Owen,
2007). Intervals and p-values take the t distribution with Satterthwaite's degrees of freedom. One
seed has no spread: it is lent one, pooled over systems of its kind that have several (equal
variances, as in the pooled t test), which is an assumption: `spread` says "borrowed", and nothing
is concluded from it. Where there is none to lend the error is that of the items alone, and `spread`
says "unknown". docs/statistics.md tells more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import nct, norm
from scipy.stats import t as student

Scores = npt.NDArray[np.float64]

ALPHA = 0.05
POWER = 0.8
DECIDING = 3  # seeds a side; docs/statistics.md shows what fewer do
_ZERO = 1e-9  # ROUGE points; below it a standard error is rounding


@dataclass(frozen=True)
class Spread:
    """A variance between seeds, pooled over systems, in squared ROUGE points."""

    variance: float
    freedom: int  # degrees of freedom of it
    holds_other: bool = False  # whether the other side of a difference is among these systems


def pooled(systems: Sequence[Scores], *, holds_other: bool = False) -> Spread | None:
    """Return the spread between seeds of the systems (S, n) that have several; None if none has."""
    several = [system for system in systems if len(system) > 1]
    freedom = sum(len(system) - 1 for system in several)
    total = sum((len(system) - 1) * _between(system) for system in several)
    return Spread(total / freedom, freedom, holds_other) if freedom else None


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and items, or a difference of two, in ROUGE points, with its error."""

    value: float
    error: float  # standard error
    freedom: float  # degrees of freedom of that error; infinite where there is none
    seeds: tuple[int, ...]  # on each side
    n: int  # items
    lent: bool = False  # whether a side of one seed was lent a spread

    @property
    def spread(self) -> str:
        """Where the seeds' part of the error comes from: "own", "borrowed" or "unknown"."""
        if min(self.seeds) > 1:
            return "own"
        return "borrowed" if self.lent else "unknown"

    @property
    def decides(self) -> bool:
        """Whether every side has DECIDING seeds: with fewer, tests at corrected levels err more."""
        return min(self.seeds) >= DECIDING

    @property
    def p(self) -> float:
        """Two-sided p-value of "the true value is 0"."""
        if self.error == 0.0:
            return 1.0 if abs(self.value) < _ZERO else 0.0
        return float(2 * student.sf(abs(self.value) / self.error, self.freedom))

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """Return both ends of the two-sided interval with coverage 1 - alpha."""
        half = float(student.ppf(1 - alpha / 2, self.freedom)) * self.error if self.error else 0.0
        return self.value - half, self.value + half

    def detectable(self, alpha: float = ALPHA) -> float:
        """Return the smallest true difference that a two-sided test at alpha finds with POWER.

        By the noncentral t distribution; findings with the wrong sign do not count.
        """
        if self.error == 0.0:
            return 0.0
        critical = float(student.ppf(1 - alpha / 2, self.freedom))
        if np.isinf(self.freedom):
            return (critical + float(norm.ppf(POWER))) * self.error
        shift = brentq(
            lambda shift: nct.sf(critical, self.freedom, shift) - POWER, 0.0, 10 * (critical + 1)
        )
        return float(shift) * self.error


def estimate(
    a: Scores,
    b: Scores | None = None,
    lent: Sequence[Spread | None] | None = None,
) -> Estimate:
    """Return the mean of `a`, or that of `a` minus that of `b`, over seeds and items.

    Args:
        a: (S_a, n), a row a seed.
        b: (S_b, n), the same items in the same order; its seeds are not those of `a`.
        lent: for each side the spread that it takes if it has one seed; by default pooled over
            the sides.

    Raises:
        ValueError: no items, or items of different number.
    """
    sides = [a] if b is None else [a, -b]
    n = a.shape[1]
    if n == 0 or any(side.shape[1] != n for side in sides):
        raise ValueError(f"the sides have {[side.shape[1] for side in sides]} items")
    value = float(sum(side.mean() for side in sides))
    seeds = tuple(len(side) for side in sides)
    if lent is None:
        lent = [pooled(sides, holds_other=True)] * len(sides)
    single = [spread for side, spread in zip(sides, lent, strict=True) if len(side) == 1]
    borrowed = [spread for spread in single if spread]
    error = float(np.sqrt(_variance(sides) + sum(spread.variance for spread in borrowed)))
    known = bool(single) and len(borrowed) == len(single)
    if error < _ZERO:
        return Estimate(value, 0.0, float("inf"), seeds, n, known)
    return Estimate(value, error, _freedom(sides, borrowed), seeds, n, known)


def _between(side: Scores) -> float:
    """Return the variance between the seeds of one side, (S, n)."""
    return float(np.var(side.mean(1), ddof=1))


def _variance(sides: Sequence[Scores]) -> float:
    """Return the variance of the sum of the sides' means, seeds and items being bootstrapped.

    With weights w of the seeds (mean 1/S, covariance (I - 11'/S) / S(S - 1)) and v of the items
    (mean 1/n, covariance (I - 11'/n) / n²): the items' part, each side's seeds' part, and each
    side's interaction of the two.
    """
    n = sides[0].shape[1]
    variance = np.sum([side.mean(0) for side in sides], axis=0).var() / n
    for side in (side for side in sides if len(side) > 1):
        centred = side - side.mean(1, keepdims=True)  # (S, n), what a seed's level does not say
        variance += _between(side) / len(side) + centred.var(0).mean() / (len(side) - 1) / n
    return float(variance)


def _freedom(sides: Sequence[Scores], lent: Sequence[Spread]) -> float:
    """Return Satterthwaite's degrees of freedom of a sum of variances, by seeds and by items.

    What a side of one seed is lent may hold the other side's own spread, if that has several
    seeds: this part varies with it, and only the rest has degrees of freedom of its own. What
    both sides are lent is one variance twice.
    """
    n = sides[0].shape[1]
    items = np.sum([side.mean(0) for side in sides], axis=0)  # (n)
    parts = [(float(np.var(items, ddof=1)) / n, n - 1)] if n > 1 else []
    several = [(len(side), _between(side)) for side in sides if len(side) > 1]
    for seeds, variance in several:
        share = sum((seeds - 1) / spread.freedom for spread in lent if spread.holds_other)
        parts.append((variance * (1 / seeds + share), seeds - 1))
    for spread in dict.fromkeys(lent):
        inside = several if spread.holds_other else []
        rest = spread.freedom - sum(seeds - 1 for seeds, _ in inside)
        total = spread.freedom * spread.variance - sum((s - 1) * v for s, v in inside)
        if rest > 0:
            parts.append((lent.count(spread) * max(0.0, total) / spread.freedom, rest))
    weight = sum(variance**2 / freedom for variance, freedom in parts)
    return sum(variance for variance, _ in parts) ** 2 / weight if weight > 0 else float("inf")


def holm(p_values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return Holm's step-down adjusted p-values (Holm, 1979) and each test's level, in their order.

    The j-th smallest p (from 0) meets ALPHA / (m - j); from the first that fails on, all meet its
    level. An interval at this level leaves 0 out exactly when Holm's procedure rejects.
    """
    m = len(p_values)
    adjusted, levels = [0.0] * m, [ALPHA] * m
    highest, failed = 0.0, None
    for step, index in enumerate(sorted(range(m), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (m - step) * p_values[index]))
        adjusted[index] = highest
        levels[index] = ALPHA / (m - step) if failed is None else failed
        if p_values[index] > levels[index]:
            failed = levels[index]
    return adjusted, levels


def corrected(differences: Sequence[Estimate | None]) -> tuple[list[float], list[float]]:
    """Return the adjusted p-values and levels of Holm's procedure over a family.

    What was not run (None) counts as p = 1, and so does a side of fewer than three seeds: its own p
    is not reliable, and must not make the others' tests easier. It is shown at Bonferroni's level.
    """
    m = len(differences)
    sure = [one.p if one and one.decides else 1.0 for one in differences]
    adjusted, levels = holm(sure)
    for index, one in enumerate(differences):
        if one and not one.decides:
            adjusted[index], levels[index] = min(1.0, m * one.p), ALPHA / m
    return adjusted, levels
