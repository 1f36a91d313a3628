"""`python -m tests.ended MODULE ...`: the command; then no thread of a process group may be left.

Python's own end, beside such a thread, aborted now and then after a training that was done.
"""

import runpy
import sys
from pathlib import Path


def native_threads() -> list[str]:
    """The names of this process's threads; Linux alone tells them."""
    return [name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")]


if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    left = [name for name in native_threads() if "gloo" in name]
    assert not left, f"threads left: {left}"
