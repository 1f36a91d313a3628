"""Shards: the lines to translate in files of a fixed length, each run by the command once.

In the work folder `plan.json` says what the shards were made from, `00000.in` is what the first one
sends and `00000.out` what came back, there only when whole, with `00000.seconds` beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from text_files import DataError


@contextlib.contextmanager
def locked(work: Path) -> Iterator[None]:
    """Hold the work folder, so that no other run works in it; without a plan it goes at the end."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{work}: another run is working there: wait for its end") from error
        try:
            yield
        finally:
            if not (work / "plan.json").exists():
                remove_shards(work)


def write_shards(work: Path, lines: Iterable[str], size: int, fingerprint: dict[str, Any]) -> None:
    """Cut lines into `NNNNN.in` of `size` lines; `plan.json`, written last, holds the counts."""
    counts: list[int] = []
    handle: IO[str] | None = None
    for line in lines:
        if handle is None or counts[-1] == size:
            if handle is not None:
                handle.close()
            handle = (work / f"{len(counts):05d}.in").open("w", encoding="utf-8", newline="\n")
            counts.append(0)
        handle.write(line + "\n")
        counts[-1] += 1
    if handle is not None:
        handle.close()
    write_json(work / "plan.json", {"fingerprint": fingerprint, "lines": counts})


def remove_shards(work: Path) -> None:
    """Remove what a finished run leaves in the work folder, and the folder unless it holds more."""
    for pattern in ("[0-9]*.in", "[0-9]*.out", "[0-9]*.err", "[0-9]*.seconds", "plan.json", "lock"):
        for path in work.glob(pattern):
            path.unlink()
    with contextlib.suppress(OSError):
        work.rmdir()


def write_json(path: Path, content: Any) -> None:
    """Write JSON under a temporary name and rename."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def read_out(path: Path) -> list[str]:
    """The lines that a command printed; a last one without a line end counts."""
    lines = path.read_bytes().decode("utf-8").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


@dataclass
class Shards:
    """All shards of a work folder, and how to run them.

    Attributes:
        work: the folder.
        counts: lines of each shard.
        command: run by bash, lines on stdin to lines on stdout.
        jobs: shards run side by side.
    """

    work: Path
    counts: list[int]
    command: str
    jobs: int

    def __post_init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()
        self._stopped = False

    def path(self, shard: int, suffix: str) -> Path:
        """A file of a shard."""
        return self.work / f"{shard:05d}.{suffix}"

    def missing(self) -> list[int]:
        """The shards that are not finished."""
        return [i for i in range(len(self.counts)) if not self.path(i, "out").is_file()]

    def run(self) -> int:
        """Run the unfinished shards and print a line for each; return how many there were.

        Raises:
            DataError: a command failed, or gave another number of lines than it got.
        """
        for stale in self.work.glob("*.part*"):
            stale.unlink()
        missing = self.missing()
        left = sum(self.counts[i] for i in missing)
        started, done = time.monotonic(), 0
        pool = ThreadPoolExecutor(self.jobs)
        try:
            futures = {pool.submit(self._run_one, i): i for i in missing}
            for future in as_completed(futures):
                future.result()
                shard = futures[future]
                done += self.counts[shard]
                pace = done / (time.monotonic() - started)
                minutes = (left - done) / pace / 60
                print(
                    f"translate: shard {shard + 1} of {len(self.counts)}, {self.counts[shard]:,} "
                    f"lines; {pace:.1f} lines a second, {minutes:.1f} minutes left",
                    flush=True,
                )
        finally:
            self.stop()
            pool.shutdown(cancel_futures=True)
        return len(missing)

    def stop(self) -> None:
        """End the commands that still run, with all that they started."""
        with self._guard:
            self._stopped = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)

    def _run_one(self, shard: int) -> None:
        started = time.monotonic()
        partial = self.path(shard, f"part{os.getpid()}")
        status = self._call(shard, partial)
        where = f"shard {shard + 1} of {len(self.counts)} ({self.path(shard, 'in')})"
        if self._stopped:
            raise DataError(f"{where}: stopped")
        if status:
            told = self.path(shard, "err").read_text("utf-8", "replace").strip().splitlines()
            raise DataError(
                f"{where}: the command ended with {status}: {(told or ['it said nothing'])[-1]}"
            )
        self._check(shard, partial, where)
        self.path(shard, "seconds").write_text(f"{time.monotonic() - started:.3f}\n")
        partial.replace(self.path(shard, "out"))

    def _call(self, shard: int, out: Path) -> int:
        """Run the command on a shard in a process group of its own; return its exit status."""
        with (
            self.path(shard, "in").open("rb") as source,
            out.open("wb") as target,
            self.path(shard, "err").open("wb") as complaints,
        ):
            with self._guard:
                if self._stopped:
                    return 1
                process = subprocess.Popen(
                    ["bash", "-o", "pipefail", "-c", self.command],
                    stdin=source, stdout=target, stderr=complaints, start_new_session=True,
                )  # fmt: skip
                self._running.add(process)
            status = process.wait()
        with self._guard:
            self._running.discard(process)
        return status

    def _check(self, shard: int, partial: Path, where: str) -> None:
        """Refuse an output of another length; it stays as `NNNNN.wrong`, to be looked at."""
        wrong = self.path(shard, "wrong")
        try:
            found = len(read_out(partial))
        except UnicodeDecodeError as error:
            partial.replace(wrong)
            raise DataError(f"{where}: the command's output is not UTF-8 (see {wrong})") from error
        if found != self.counts[shard]:
            partial.replace(wrong)
            raise DataError(
                f"{where}: the command gave {found} lines for {self.counts[shard]} (see {wrong}): "
                "it must print one line for each line; mend it and run again, with another --work "
                "if the command reads differently then"
            )
        wrong.unlink(missing_ok=True)

    def seconds(self) -> float:
        """What all finished shards took together."""
        each = (self.path(i, "seconds") for i in range(len(self.counts)))
        return sum(float(path.read_text()) for path in each)

    def translated(self) -> Iterator[str]:
        """The lines of all shards, in order."""
        for shard in range(len(self.counts)):
            yield from read_out(self.path(shard, "out"))
