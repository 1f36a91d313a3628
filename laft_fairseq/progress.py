"""Progress of what may take long: a bar on a terminal, a line with the time left in a log."""

import sys
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 10  # before the first line, and between lines
LINE = "laft: {desc}: {n_fmt} of {total_fmt} {unit}, {remaining} left"
WITHOUT_TOTAL = "laft: {desc}: {n_fmt} {unit}, {rate_fmt}"


class LogLines(tqdm):
    """tqdm for a log: each state is a line of its own."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Print the state as a line; there is nothing to clear."""
        if msg is None:
            print(self, file=self.fp, flush=True)
        return False


def progress(
    what: str, total: int | None, unit: str, scale: bool = False, disable: bool = False
) -> Any:
    """Return a context manager whose ``update(n)`` counts ``n`` more of ``total`` as done.

    Nothing is shown of what ends within ten seconds, on a terminal within one. ``total`` is None
    where it is not known, ``unit`` a plural; with ``scale`` large numbers are shown as 1.2M.
    """
    kind, seconds, line = tqdm, 1, None
    if sys.stderr is None or not sys.stderr.isatty():
        kind, seconds, line = LogLines, LOG_SECONDS, LINE if total else WITHOUT_TOTAL
    return kind(
        desc=what, total=total, unit=unit, unit_scale=scale, bar_format=line, leave=False,
        disable=disable or sys.stderr is None, miniters=1, delay=seconds, mininterval=seconds,
        file=sys.stderr,
    )  # fmt: skip
