"""The benchmarks' command, as their README has it."""

import subprocess
import sys
from pathlib import Path


def test_the_command_as_typed(repository: Path) -> None:
    command = [sys.executable, "benchmarks/run.py", "decode", "--list", "--only", "laft|full"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["mbart_full", "laft"]
