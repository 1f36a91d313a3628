"""The pass over the text: progress, and the state that a killed run goes on from."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from cc100_sample import Sampler
from cc100_stream import DamagedError, Place, Stream, blocks
from text_files import DataError
from tqdm import tqdm
from translate import differences

FORMAT = "laft-cc100-state/1"
T = TypeVar("T")


class Progress:
    """A bar on a terminal, a line every so many seconds elsewhere; both on stderr."""

    def __init__(self, stream: Stream, seconds: float) -> None:
        self.stream, self.seconds = stream, seconds
        self.told = time.monotonic()
        self.restart()
        terminal = sys.stderr.isatty()
        self.bar = tqdm(total=stream.size, unit="B", unit_scale=True, disable=not terminal)
        self.log = not terminal

    def restart(self) -> None:
        """Reckon the pace from here on."""
        self.started, self.begun = time.monotonic(), self.stream.position()

    def show(self, what: str) -> None:
        """Tell where the stream stands; `what` says what was found there."""
        position = self.stream.position()
        if not self.log:
            self.bar.set_postfix_str(what, refresh=False)
            self.bar.update(position - self.bar.n)
        elif time.monotonic() - self.told >= self.seconds:
            self.told = time.monotonic()
            pace = (position - self.begun) / (self.told - self.started)
            size, left = "", ""
            if self.stream.size is not None:
                size = f" of {_bytes(self.stream.size)} ({position / self.stream.size:.1%})"
                left = f", {_duration((self.stream.size - position) / max(pace, 1e-9))} left"
            told = f"{_bytes(position)}{size}, {what}, {_bytes(pace)}/s{left}"
            print(f"cc100: {self.stream.name}: {told}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self.bar.close()


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes}:{rest:02d}"


class State:
    """The file in the work folder: a JSON line, then the lines of the sample so far.

    Args:
        path: the file.
        choices: what must be the same when a run goes on.
    """

    def __init__(self, path: Path, choices: dict[str, Any]) -> None:
        self.path, self.choices = path, choices

    def save(self, sampler: Sampler, place: Place, seconds: float) -> None:
        """Write under a temporary name and rename."""
        sampler.settle()
        told = {"format": FORMAT, "choices": self.choices, "place": place.as_json(),
                "seconds": seconds, **sampler.state()}  # fmt: skip
        partial = self.path.with_name(f".{self.path.name}.part")
        with partial.open("wb") as handle:
            handle.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
            handle.writelines(line + b"\n" for line in sampler.held)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(self.path)

    def load(self, sampler: Sampler) -> tuple[Place, float]:
        """Fill an empty sampler; return where it stood, and the seconds it had taken.

        Raises:
            DataError: the state was begun with other choices, or is damaged.
        """
        if not self.path.is_file():
            return Place(), 0.0
        remedy = f"delete {self.path.parent} or name another --work"
        try:
            with self.path.open("rb") as handle:
                told = json.loads(handle.readline())
                if changed := differences(self.choices, told["choices"]):
                    raise DataError(f"{self.path}: begun otherwise: {changed}; {remedy}")
                parts = iter(lambda: handle.readlines(2**21), [])
                sampler.restore(told, (b"".join(part) for part in parts))
            return Place(**told["place"]), float(told["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.path}: damaged ({error}): {remedy}") from error


class Signals:
    """Ctrl-C and SIGTERM stop the pass between two blocks, or while it waits for one."""

    def __init__(self) -> None:
        self.waiting = self.stopped = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        if self.waiting:
            raise KeyboardInterrupt

    def of(self, source: Iterator[T]) -> Iterator[T]:
        """What a source gives; `KeyboardInterrupt` comes from here alone."""
        while True:
            self.waiting = True
            if self.stopped:
                raise KeyboardInterrupt
            item = next(source, None)
            self.waiting = False
            if item is None:
                return
            yield item

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle the signals here."""
        before = {n: signal.signal(n, self._handle) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(
    source: str, sampler: Sampler, state: State, save_seconds: float, log_seconds: float
) -> tuple[Place, float]:
    """Read the text from where the state stands to its end, or until the sampler is full.

    Returns:
        how far it was read, and the seconds that it took in all runs.

    Raises:
        DataError: the text or the state cannot be used. What was read so far is in the state.
        KeyboardInterrupt: on Ctrl-C or SIGTERM; the same.
    """
    place, before = state.load(sampler)
    signals = Signals()
    with Stream(source) as stream, signals.caught():
        started = time.monotonic()
        progress = Progress(stream, log_seconds)
        saved, text = started, place.bytes
        try:
            for done in signals.of(place.skip(stream)):
                progress.show(f"on the way to line {sampler.lines:,}: {done / text:.0%}")
            progress.restart()
            for block in signals.of(blocks(stream)):
                sampler.take(block)
                place.advance(block)
                progress.show(f"{sampler.lines:,} lines, {len(sampler):,} in the sample")
                if sampler.full:
                    break
                if time.monotonic() - saved >= save_seconds:
                    state.save(sampler, place, before + time.monotonic() - started)
                    saved, text = time.monotonic(), place.bytes
        except (DataError, KeyboardInterrupt) as error:
            if place.bytes > text:
                state.save(sampler, place, before + time.monotonic() - started)
            if isinstance(error, DamagedError) and place.bytes:
                kept = f"{sampler.lines:,} lines are kept, and with the whole file the same command"
                raise DataError(f"{error}; {kept} goes on") from error
            raise
        finally:
            progress.close()
        sampler.settle()
        return place, before + time.monotonic() - started
