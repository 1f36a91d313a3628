"""Run one command: pinned, in a log, measured, and not outliving the run that started it.

What a script starts itself may, where the run is killed by force: those scripts hold locks of their
own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
HEARTBEAT = 5.0  # seconds


@dataclass(frozen=True)
class Usage:
    """What a command took."""

    code: int
    seconds: float
    peak_mib: float


def environment(threads: int) -> dict[str, str]:
    """This interpreter's commands first on the path; so many threads."""
    here = str(Path(sys.executable).parent)
    path = f"{here}{os.pathsep}{os.environ.get('PATH', '')}"
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**os.environ, "PATH": path, **dict.fromkeys(names, str(threads))}


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prepare(libc: ctypes.CDLL | None, core: int | None) -> Callable[[], None]:
    """In the child before its command: die with the parent, stay on one core."""

    def prepare() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})

    return prepare


def run(
    command: Sequence[str],
    stdout: Path,
    *,
    stderr: Path | None = None,
    threads: int = 1,
    core: int | None = None,
    beat: Callable[[float], None] | None = None,
) -> Usage:
    """Run a command with its output appended to a file.

    Args:
        command: program and arguments.
        stdout: file that gets its output; `stderr` that of its errors, else the same.
        threads: OMP_NUM_THREADS.
        core: the core that it is pinned to, if any.
        beat: called with the seconds so far every few seconds, so that they survive a kill.
    """
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(stdout.open("ab" if stderr is None else "wb"))
        err = out if stderr is None else stack.enter_context(stderr.open("wb"))
        child = subprocess.Popen(
            list(command), stdout=out, stderr=err, stdin=subprocess.DEVNULL,
            env=environment(threads), preexec_fn=_prepare(_libc(), core),
        )  # fmt: skip
    code, peak = _wait(child, start, beat)
    return Usage(code, time.monotonic() - start, peak)


def _wait(
    child: subprocess.Popen[bytes], start: float, beat: Callable[[float], None] | None
) -> tuple[int, float]:
    """Exit state and peak memory in MiB."""
    told = start
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            unit = 2**20 if sys.platform == "darwin" else 2**10
            return child.returncode, usage.ru_maxrss / unit
        time.sleep(0.1)
        if beat is not None and time.monotonic() - told >= HEARTBEAT:
            told = time.monotonic()
            beat(told - start)
