"""The data tools' commands in this process."""

import contextlib
import io
import subprocess
from collections.abc import Callable

from preprocess.common.command import run_command


def run(name: str, command: Callable[[], object]) -> subprocess.CompletedProcess[str]:
    """The exit status and output of a command."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        status = run_command(name, command)
    return subprocess.CompletedProcess([], status, out.getvalue(), err.getvalue())
