"""Run a command as a child; time its updates by the lines it prints, and take its peak memory."""

from __future__ import annotations

import itertools
import os
import re
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Contender

UPDATE = re.compile(r"train_inner \||^update \d+|'num_updates'|\"num_updates\"|num_updates=")


@dataclass(frozen=True)
class Run:
    """One run of one contender."""

    seconds: list[float]  # between the lines of consecutive updates
    peak_mb: float  # peak resident set of the process
    whole: float  # seconds from start to end

    @property
    def step(self) -> float:
        """Median seconds of a step; the first two, which warm up, are left out."""
        kept = self.seconds[1:] or self.seconds
        return statistics.median(kept) if kept else self.whole


def run(contender: Contender, threads: int, log: Path) -> Run:
    """Run to the end.

    Raises:
        SystemExit: the command failed; the end of its output is shown.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    if contender.fills and not Path(contender.fills).exists():
        subprocess.run(contender.command, env=environment, capture_output=True, check=True)
    start, marks, lines = time.monotonic(), [], []
    process = subprocess.Popen(
        contender.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if UPDATE.search(line):
            marks.append(time.monotonic())
        lines.append(line)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(lines), encoding="utf-8")
    if process.returncode:
        raise SystemExit(f"{contender.name}: failed\n{''.join(lines[-15:])}")
    seconds = [later - earlier for earlier, later in itertools.pairwise(marks)]
    return Run(seconds, usage.ru_maxrss / 1024, time.monotonic() - start)
