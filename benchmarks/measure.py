"""Run a command as a child; time its updates by the lines it prints, and take its peak memory."""

from __future__ import annotations

import itertools
import os
import re
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import Contender

UPDATE = r"train_inner \||^update \d+|'num_updates'|\"num_updates\"|num_updates="
CUDA_PEAK = re.compile(r"^cuda_peak_bytes (\d+)", re.MULTILINE)
ROOT = Path(__file__).resolve().parent.parent  # where commands run
TICK = os.sysconf("SC_CLK_TCK")  # of /proc/PID/stat, a second


class Failed(Exception):
    """A command ended badly; the message is the end of what it printed."""


@dataclass(frozen=True)
class Run:
    """One run of one contender."""

    seconds: list[float]  # between the lines of consecutive updates
    peak_mb: float  # peak resident set of the process, or what CUDA allocated at most
    whole: float  # seconds from start to end
    cpu: list[float] = field(default_factory=list)  # of processors, between the same lines
    output: str = ""

    @property
    def step(self) -> float:
        """Median seconds of a step; the first two, which warm up, are left out."""
        return _median(self.seconds) or self.whole

    @property
    def cpu_step(self) -> float:
        """The same of processors, all threads together: it holds on a busy machine too."""
        return _median(self.cpu)


def _median(values: list[float]) -> float:
    kept = values[1:] or values
    return statistics.median(kept) if kept else 0.0


def run(contender: Contender, threads: int, log: Path) -> Run:
    """Run to the end; the output goes to ``log`` as well.

    Raises:
        Failed: the command failed.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": str(contender.threads or threads),
        "PYTHONUNBUFFERED": "1",  # a mark is timed when it comes
    }
    if contender.fills and not Path(contender.fills).exists():
        filling = subprocess.run(
            contender.command, env=environment, capture_output=True, text=True, cwd=ROOT
        )
        if filling.returncode:
            raise Failed((filling.stdout + filling.stderr)[-2000:])
    start = time.monotonic()
    marks, busy, lines = [], [], []
    wanted = re.compile(contender.marks or UPDATE)
    process = subprocess.Popen(
        contender.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if wanted.search(line):
            marks.append(time.monotonic())
            busy.append(_processors(process.pid))
        lines.append(line)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    output = "".join(lines)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(output, encoding="utf-8")
    if process.returncode:
        raise Failed("".join(lines[-15:]))
    cuda = CUDA_PEAK.search(output)
    peak = int(cuda[1]) / 2**20 if cuda else usage.ru_maxrss / 1024
    return Run(_between(marks), peak, time.monotonic() - start, _between(busy), output)


def _between(marks: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(marks)]


def _processors(pid: int) -> float:
    """Seconds of processors that the process has used, all its threads; 0 where unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK
