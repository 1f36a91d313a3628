"""Run a command as a child process; time its steps by the lines it prints, and its peak memory."""

from __future__ import annotations

import itertools
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # where commands run
UPDATE = r"train_inner \||^update \d+|'num_updates'|\"num_updates\"|num_updates="
CUDA_PEAK = re.compile(r"^cuda_peak_bytes (\d+)", re.MULTILINE)
OUT_OF_MEMORY = "out of memory"
TICKS = os.sysconf("SC_CLK_TCK")  # of /proc/PID/stat, a second
PAGES = 2**20 / os.sysconf("SC_PAGESIZE")  # a MB
SETTLED = 100  # steps after which memory is expected to stay
CORES = len(os.sched_getaffinity(0))
PACKAGES = ("torch", "ve-fairseq", "transformers", "ctranslate2")


class Failed(Exception):
    """A command failed; the message is the end of what it printed."""


@dataclass(frozen=True)
class System:
    """A command that is measured, as a user would run it."""

    name: str
    command: str
    warm_up: bool = False  # an untimed run of the command comes first, which fills its caches
    marks: str = UPDATE  # regular expression of the lines between which steps are timed
    threads: int = 0  # of each process; 0: as many as the runner says
    needs: str = ""  # a module without which it is not run


@dataclass(frozen=True)
class Run:
    """One run of a system."""

    seconds: list[float]  # wall clock, between the lines of consecutive steps
    cpu: list[float]  # CPU seconds of all threads, between the same lines
    memory_mb: list[float]  # resident set at each line, mapped files included; 0 where unknown
    peak_mb: float  # peak resident set of the process, or what CUDA allocated at most
    whole: float  # seconds from start to end
    output: str

    @property
    def step(self) -> float:
        """Median seconds of a step; the first two, which warm up, are left out."""
        return _median(self.seconds) or self.whole

    @property
    def cpu_step(self) -> float:
        """Median CPU seconds of a step, which hold on a busy machine too."""
        return _median(self.cpu)

    @property
    def growth(self) -> float:
        """Resident memory at the last step over that at step 100; 0 for fewer than 200 steps."""
        memory = self.memory_mb
        return memory[-1] / memory[SETTLED] if len(memory) > 2 * SETTLED else 0.0


def _median(values: list[float]) -> float:
    kept = values[1:] or values
    return statistics.median(kept) if kept else 0.0


def run(system: System, threads: int, log: Path) -> Run:
    """Runs a system to its end; its output goes to ``log`` as well.

    Raises:
        Failed: the command failed.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": str(system.threads or threads),
        "PYTHONUNBUFFERED": "1",  # a line is timed when it is printed
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = ["bash", "-o", "pipefail", "-c", system.command]
    if system.warm_up:
        subprocess.run(command, env=environment, capture_output=True, cwd=ROOT)
    marks = re.compile(system.marks)
    times, busy, memory, lines = [], [], [], []
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if marks.search(line):
            times.append(time.monotonic())
            seconds, megabytes = _cpu_and_memory(process.pid)
            busy.append(seconds)
            memory.append(megabytes)
        lines.append(line)
        if OUT_OF_MEMORY in line.lower():  # after which fairseq-train would go on without updates
            process.kill()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    whole, output = time.monotonic() - start, "".join(lines)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(output, encoding="utf-8")
    if process.returncode:
        raise Failed("".join(lines[-15:]).strip())
    cuda = CUDA_PEAK.search(output)
    peak = int(cuda[1]) / 2**20 if cuda else usage.ru_maxrss / 1024
    return Run(_differences(times), _differences(busy), memory, peak, whole, output)


def _differences(values: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(values)]


def _cpu_and_memory(pid: int) -> tuple[float, float]:
    """CPU seconds that a process has used, all its threads, and its resident MB; 0 if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) / PAGES


def machine(cuda: bool) -> str:
    """Returns the name of the processor and, where it is used, of the GPU."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", text)
    bf16 = "with" if "avx512_bf16" in text or "amx_bf16" in text else "without"
    cpu = f"{CORES} cores of {model[1] if model else platform.machine()}, {bf16} bf16 products"
    if not cuda:
        return cpu
    import torch

    return f"{torch.cuda.get_device_name()}, {cpu}"


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that are timed."""
    installed = {each.name: each.version for each in distributions()}
    packages = {name: installed[name] for name in PACKAGES if name in installed}
    return {"python": platform.python_version(), **packages}
