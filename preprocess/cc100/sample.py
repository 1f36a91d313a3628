"""A uniform sample of the distinct lines that pass the filters, in one pass and bounded memory.

Each line has a key, a seeded hash of its text, so that a line's key is a random number which equal
lines share. The sample is the `size` lines with the smallest keys among those that pass: a
reservoir sample (bottom-k) of the distinct ones, each as likely as any other, whatever the order
of the input and however often a line occurs. A line whose key is above the largest one held needs
no second look, and soon almost all are.

Any key below the final threshold was looked at throughout. Its lines are thus themselves a random
sample of all lines, kept or not, and what became of them tells the shares of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from cc100_filters import DUPLICATE, KEPT, REASONS, Filters
from cc100_keys import Keys, line_bounds, line_keys, loose
from text_files import stable_hash

LARGEST = 2**64 - 1
_BUCKETS = 54  # by the length in bits of a key's upper 53


@dataclass
class Census:
    """Why lines were kept or not: counts by reason, and by the magnitude of their keys."""

    counts: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((len(REASONS), _BUCKETS), np.int64)
    )

    def add(self, reasons: npt.NDArray[np.int64], keys: Keys) -> None:
        """Count n lines: (n,) reasons, (n,) keys."""
        _, bits = np.frexp((keys >> np.uint64(11)).astype(np.float64))
        places = reasons * _BUCKETS + bits
        self.counts += np.bincount(places, minlength=self.counts.size).reshape(self.counts.shape)

    def below(self, threshold: int) -> tuple[dict[str, int], float]:
        """Counts of the lines below the greatest power of two up to `threshold`; their share.

        Returns:
            count by reason, and the share of all keys that lie there (1 if all were looked at).
        """
        bits = 53 if threshold == LARGEST else max((threshold >> 11).bit_length() - 1, 0)
        counts = self.counts[:, : bits + 1].sum(axis=1)
        return dict(zip(REASONS, counts.tolist(), strict=True)), 2.0 ** (bits - 53)


class Sampler:
    """The sample so far.

    Args:
        filters: what a line must be.
        size: how many lines to keep.
        seed: another one gives another sample.
        loosely: lines that differ in ASCII case, digits, spaces, punctuation only are equal, and
            the first that passes is kept.
        first: keep the first `size` lines that pass, and be full then, in place of a sample.
    """

    def __init__(self, filters: Filters, size: int, seed: int, loosely: bool, first: bool) -> None:
        self.filters, self.size, self.loosely, self.first = filters, size, loosely, first
        self.seed = stable_hash("cc100", str(seed))
        self.keys = np.zeros(0, np.uint64)  # (n,) ascending
        self.held = np.zeros(0, object)  # (n,) bytes, in their order
        self.new: dict[int, bytes] = {}  # what came since, by key
        self.threshold = LARGEST
        self.lines = self.blank = 0
        self.census = Census()

    def __len__(self) -> int:
        return len(self.keys) + len(self.new)

    @property
    def full(self) -> bool:
        """Whether no further line can matter."""
        return self.first and len(self) == self.size

    def take(self, block: bytes) -> None:
        """Offer a block of whole lines, each with its `\\n`."""
        starts, ends = line_bounds(block)
        keys = self._keys(block, starts, ends)
        text = ends > starts
        chosen = np.flatnonzero(text & (keys < np.uint64(self.threshold)))
        lines = [block[starts[n] : ends[n]] for n in chosen.tolist()]
        used = self._offer(keys[chosen], lines)
        last = int(chosen[used - 1]) + 1 if self.full else len(text)
        self.lines += last
        self.blank += int(last - np.count_nonzero(text[:last]))
        if len(self.new) > max(self.size // 8, 1000):
            self.settle()

    def _keys(self, block: bytes, starts: Any, ends: Any) -> Keys:
        if self.loosely:
            block = loose(block)
            starts, ends = line_bounds(block)
        return line_keys(block, starts, ends, self.seed)

    def _offer(self, keys: Keys, lines: list[bytes]) -> int:
        """Keep what passes of n lines; return how many were looked at before all were found."""
        reasons = np.full(len(lines), DUPLICATE)
        place = np.searchsorted(self.keys, keys)
        known = np.append(self.keys, np.uint64(LARGEST))[place] == keys
        fresh = np.flatnonzero(~known)
        judged = self.filters.judge([lines[n] for n in fresh.tolist()])
        used = len(lines)
        found = zip(fresh.tolist(), keys[fresh].tolist(), judged.tolist(), strict=True)
        for number, key, reason in found:
            if key in self.new:
                continue
            reasons[number] = reason
            if reason == KEPT:
                self.new[key] = lines[number]
                if self.first and self.full:
                    used = number + 1
                    break
        self.census.add(reasons[:used], keys[:used])
        return used

    def settle(self) -> None:
        """Join what is new to what is held, cut to `size`, and lower the threshold."""
        keys = np.concatenate([self.keys, np.fromiter(self.new, np.uint64, len(self.new))])
        lines = np.empty(len(keys), object)
        lines[: len(self.held)] = self.held
        lines[len(self.held) :] = list(self.new.values())
        self.new.clear()
        order = np.argsort(keys, kind="stable")[: self.size]
        self.keys, self.held = keys[order], lines[order]
        if len(self.keys) == self.size and not self.first:
            self.threshold = int(self.keys[-1])

    @property
    def saw_all(self) -> bool:
        """Whether every line was looked at."""
        return self.threshold == LARGEST

    def passing(self) -> int:
        """How many distinct lines pass: counted if all fit, else estimated (KMV estimator).

        The estimate's standard error is 1 part in the square root of `size`.
        """
        if self.saw_all:
            return len(self)
        return round((self.size - 1) / (self.threshold / 2**64))

    def state(self) -> dict[str, Any]:
        """All but the lines, as JSON can hold it; settled before."""
        return {"lines": self.lines, "blank": self.blank, "held": len(self.held),
                "census": self.census.counts.tolist()}  # fmt: skip

    def restore(self, state: dict[str, Any], blocks: Iterable[bytes]) -> None:
        """Go back to a state, with its lines in the order of their keys, each with its `\\n`.

        Raises:
            ValueError: the lines are not those of the state.
        """
        self.lines, self.blank = int(state["lines"]), int(state["blank"])
        self.census.counts[:] = state["census"]
        keys, lines = [np.zeros(0, np.uint64)], list[bytes]()
        for block in blocks:
            keys.append(self._keys(block, *line_bounds(block)))
            lines += block.split(b"\n")[:-1]
        self.keys = np.concatenate(keys)
        ascending = bool(np.all(self.keys[1:] > self.keys[:-1]))
        if not ascending or not len(lines) == len(self.keys) == state["held"]:
            raise ValueError("not as it was written")
        self.held = np.empty(len(lines), object)
        self.held[:] = lines
        self.settle()
