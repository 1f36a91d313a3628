"""The plan in lines: what is done, and about how long the rest takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from examples.ddtp.tables import carry, state
from examples.ddtp.tables.runner import duration, shares
from examples.ddtp.tables.steps import Step


def lines(out: Path, steps: Sequence[Step], jobs: int) -> list[str]:
    """A line a step, and the whole; `out` need not be there yet.

    A step that only served what is done is not run again, nor is a further seed of a system that is
    no near rival: both are said to be spared.
    """
    done = state.done(out, steps)
    unwanted = state.unwanted(out, steps) - done
    spared = unwanted | carry.spared(steps, done | unwanted)
    left = [step for step in steps if step.id not in done | spared]
    share = shares(steps, done)
    total = sum(share[step.id] * step.estimate for step in left)

    def time(step: Step) -> str:
        if step.id in done:
            return "done"
        return "spared" if step.id in spared else f"{step.estimate:.0f} s"

    there = f"{len(done)} of them done; " if done else ""
    rest = "nothing is left"
    if left:
        jobs_there = f"{jobs} job{'s' * (jobs > 1)}"
        rest = f"about {duration(total / jobs)} with {jobs_there}"
        rest = f"the rest takes {rest}" if done else rest
    return [
        *(f"{time(step):>9}  {step.title}" for step in steps),
        f"{len(steps)} steps, {there}{rest}",
    ]
