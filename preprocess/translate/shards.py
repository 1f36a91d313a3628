"""Shards: the lines to translate in files of a fixed length, each run by the command once.

In the work folder `plan.json` says what the shards were made from, `00000.in` is what the first one
sends and `00000.out` what came back, there only when whole.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from laft_fairseq import files
from laft_fairseq.errors import LaftError
from laft_fairseq.files import write_json
from preprocess.common.files import difference, read_json, write_lines
from preprocess.common.text import split_lines

FILES = ("[0-9]*.in", "[0-9]*.out", "[0-9]*.err", "[0-9]*.part*", "plan.json", "lock")


@contextlib.contextmanager
def locked(work: Path) -> Iterator[None]:
    """Hold the work folder, so that no other run works in it; without a plan it goes at the end."""
    with files.locked(work / "lock", work):
        try:
            yield
        finally:
            if not (work / "plan.json").exists():
                remove_shards(work)


def remove_shards(work: Path) -> None:
    """Remove what a finished run leaves in the work folder, and the folder unless it holds more."""
    for path in [path for pattern in FILES for path in work.glob(pattern)]:
        path.unlink()
    with contextlib.suppress(OSError):
        work.rmdir()


def plan_shards(work: Path, lines: Iterable[str], size: int, settings: dict[str, Any]) -> list[int]:
    """Cut lines into shards, unless it was done before; return the number of lines of each.

    Raises:
        LaftError: they were cut with other settings, and a shard is finished.
    """
    path = work / "plan.json"
    if path.is_file() and any(work.glob("[0-9]*.out")):
        plan = read_json(path)
        if changed := difference(settings, plan.get("settings", {})):
            raise LaftError(
                f"{work} was begun otherwise: {changed}; delete it or name another --work"
            )
        return list(plan["lines"])
    path.unlink(missing_ok=True)  # no shard is finished: other settings may begin anew
    counts: list[int] = []
    source = iter(lines)
    while shard := list(islice(source, size)):
        counts.append(write_lines(file_of(work, len(counts), "in"), shard))
    write_json(path, {"settings": settings, "lines": counts})
    return counts


def file_of(work: Path, shard: int, suffix: str) -> Path:
    """A file of a shard."""
    return work / f"{shard:05d}.{suffix}"


def run_shards(work: Path, counts: list[int], command: str, jobs: int) -> int:
    """Run the unfinished shards, some side by side; return how many there were.

    Args:
        work: the folder.
        counts: lines of each shard.
        command: run by bash, lines on stdin to lines on stdout.
        jobs: how many run at the same time.

    Raises:
        LaftError: a command failed, or gave another number of lines than it got.
    """
    missing = [i for i in range(len(counts)) if not file_of(work, i, "out").is_file()]
    left, done, started = sum(counts[i] for i in missing), 0, time.monotonic()
    waiting, running = iter(missing), dict[int, tuple[subprocess.Popen[bytes], int]]()
    try:
        while True:
            for shard in islice(waiting, jobs - len(running)):
                process = start(work, shard, command)
                running[process.pid] = process, shard
            if not running:
                return len(missing)
            pid, status = os.wait()
            process, shard = running.pop(pid)
            process.returncode = os.waitstatus_to_exitcode(status)
            keep(work, shard, counts, process.returncode)
            done += counts[shard]
            pace = done / (time.monotonic() - started)
            print(
                f"translate: shard {shard + 1} of {len(counts)}, {counts[shard]:,} lines; "
                f"{pace:.1f} lines a second, {(left - done) / pace / 60:.1f} minutes left",
                flush=True,
            )
    finally:
        for process, _ in running.values():  # end the commands with all that they started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def partial_file(work: Path, shard: int) -> Path:
    """What a command writes to: no other run's, of which the engine may have outlived a kill."""
    return file_of(work, shard, f"part{os.getpid()}")


def start(work: Path, shard: int, command: str) -> subprocess.Popen[bytes]:
    """Run the command on a shard, in a process group of its own."""
    with (
        file_of(work, shard, "in").open("rb") as stdin,
        partial_file(work, shard).open("wb") as stdout,
        file_of(work, shard, "err").open("wb") as stderr,
    ):
        return subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command],
            stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True,
        )  # fmt: skip


def keep(work: Path, shard: int, counts: list[int], status: int) -> None:
    """Keep what a command gave for a shard if that has as many lines."""
    partial, wrong = partial_file(work, shard), file_of(work, shard, "wrong")
    where = f"shard {shard + 1} of {len(counts)} ({file_of(work, shard, 'in')})"
    if status:
        errors = file_of(work, shard, "err").read_text("utf-8", "replace").strip()
        message = (errors or "without a message").splitlines()[-1]
        raise LaftError(f"{where}: the command ended with {status}: {message}")
    try:
        given = f"{len(split_lines(partial.read_bytes().decode()))} lines"
    except UnicodeDecodeError:
        given = "lines that are not UTF-8"
    if given != f"{counts[shard]} lines":
        partial.replace(wrong)
        raise LaftError(
            f"{where}: the command gave {given} for {counts[shard]} (see {wrong}): it must print "
            "one line for each line; correct it and run again, under another name with another "
            "--work"
        )
    wrong.unlink(missing_ok=True)
    partial.replace(file_of(work, shard, "out"))


def translations(work: Path, count: int) -> Iterator[str]:
    """The lines of all shards, in order."""
    for shard in range(count):
        yield from split_lines(file_of(work, shard, "out").read_bytes().decode())
