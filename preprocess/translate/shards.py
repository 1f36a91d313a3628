"""Shards: the lines to translate in files of a fixed length, each run by the command once.

In the work folder `plan.json` says what the shards were made from, `00000.in` is what the first one
sends and `00000.out` what came back, there only when whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from preprocess.common.files import difference, read_json, write_json, write_lines
from preprocess.common.text import split_lines

FILES = ("[0-9]*.in", "[0-9]*.out", "[0-9]*.err", "[0-9]*.part*", "plan.json", "lock")


@contextlib.contextmanager
def locked(work: Path) -> Iterator[None]:
    """Hold the work folder, so that no other run works in it; without a plan it goes at the end."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaftError(f"{work}: another run is working there: wait for its end") from error
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
        counts.append(write_lines(work / f"{len(counts):05d}.in", shard))
    write_json(path, {"settings": settings, "lines": counts})
    return counts


class Shards:
    """All shards of a work folder, and how to run them.

    Args:
        work: the folder.
        counts: lines of each shard.
        command: run by bash, lines on stdin to lines on stdout.
    """

    def __init__(self, work: Path, counts: list[int], command: str) -> None:
        self.work, self.counts, self.command = work, counts, command
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()
        self._stopped = False

    def path(self, shard: int, suffix: str) -> Path:
        """A file of a shard."""
        return self.work / f"{shard:05d}.{suffix}"

    def run(self, jobs: int) -> int:
        """Run the unfinished shards, some side by side; return how many there were.

        Raises:
            LaftError: a command failed, or gave another number of lines than it got.
        """
        missing = [i for i in range(len(self.counts)) if not self.path(i, "out").is_file()]
        left, done, started = sum(self.counts[i] for i in missing), 0, time.monotonic()
        pool = ThreadPoolExecutor(jobs)
        try:
            futures = {pool.submit(self._run_one, i): i for i in missing}
            for future in as_completed(futures):
                future.result()
                shard = futures[future]
                done += self.counts[shard]
                pace = done / (time.monotonic() - started)
                print(
                    f"translate: shard {shard + 1} of {len(self.counts)}, {self.counts[shard]:,} "
                    f"lines; {pace:.1f} lines a second, {(left - done) / pace / 60:.1f} minutes "
                    "left",
                    flush=True,
                )
        finally:
            self._stop()
            pool.shutdown(cancel_futures=True)
        return len(missing)

    def translations(self) -> Iterator[str]:
        """The lines of all shards, in order."""
        for shard in range(len(self.counts)):
            yield from split_lines(self.path(shard, "out").read_bytes().decode())

    def _stop(self) -> None:
        """End the commands that still run, with all that they started."""
        with self._guard:
            self._stopped = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)

    def _run_one(self, shard: int) -> None:
        """Run the command on a shard, and keep what it gives if that has as many lines."""
        # Named by the process: an engine that outlived a killed run may still write to its own.
        names = ("in", f"part{os.getpid()}", "err")
        source, partial, errors = (self.path(shard, name) for name in names)
        where = f"shard {shard + 1} of {len(self.counts)} ({source})"
        status = self._call(source, partial, errors)
        if self._stopped:
            raise LaftError(f"{where}: stopped")
        if status:
            message = errors.read_text("utf-8", "replace").strip() or "without a message"
            raise LaftError(f"{where}: the command ended with {status}: {message.splitlines()[-1]}")
        wrong = self.path(shard, "wrong")
        try:
            count = f"{len(split_lines(partial.read_bytes().decode()))} lines"
        except UnicodeDecodeError:
            count = "lines that are not UTF-8"
        if count != f"{self.counts[shard]} lines":
            partial.replace(wrong)
            raise LaftError(
                f"{where}: the command gave {count} for {self.counts[shard]} (see {wrong}): it "
                "must print one line for each line; correct it and run again, under another name "
                "with another --work"
            )
        wrong.unlink(missing_ok=True)
        partial.replace(self.path(shard, "out"))

    def _call(self, source: Path, out: Path, errors: Path) -> int:
        """Run the command in a process group of its own; return its exit status."""
        with source.open("rb") as stdin, out.open("wb") as stdout, errors.open("wb") as stderr:
            with self._guard:
                if self._stopped:
                    return 1
                process = subprocess.Popen(
                    ["bash", "-o", "pipefail", "-c", self.command],
                    stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True,
                )  # fmt: skip
                self._running.add(process)
            status = process.wait()
        with self._guard:
            self._running.discard(process)
        return status
