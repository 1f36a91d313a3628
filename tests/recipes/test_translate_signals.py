"""`translate.sh` when it is stopped from outside: it says so, and leaves no engine behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def heed_hangup() -> None:
    """As in a terminal, also where the tests themselves run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def started(folder: Path, *before: str) -> subprocess.Popen[str]:
    """A translation of which the engine runs; `folder/pid` holds the engine's process."""
    (folder / "in.txt").write_text("one\n")
    command = f"echo $$ > {folder}/new; mv {folder}/new {folder}/pid; sleep ${{NAP:-60}}; cat"
    process = subprocess.Popen(
        [*before, ROOT / "preprocess" / "translate.sh", "--in", "in.txt", "--out", "out.txt",
         "--command", command],
        cwd=folder, env={**os.environ, "PYTHON": sys.executable, "NAP": "2" if before else "60"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_hangup,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (folder / "pid").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    return process


def runs(folder: Path) -> bool:
    """Whether the engine is still there."""
    return Path(f"/proc/{(folder / 'pid').read_text().strip()}").exists()


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGHUP, signal.SIGHUP)])
def test_the_engine_ends_as_well(tmp_path: Path, numbers: tuple[signal.Signals, ...]) -> None:
    """Also at a lost connection, of which both the terminal and the shell send word."""
    process = started(tmp_path)
    for number in numbers:
        process.send_signal(number)
    _, message = process.communicate(timeout=20)
    assert process.returncode == 130
    assert message.startswith("translate: stopped") and message.count("\n") == 1
    assert not runs(tmp_path)


def test_nohup_is_heeded(tmp_path: Path) -> None:
    process = started(tmp_path, "nohup")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert (tmp_path / "out.txt").read_text() == "one\n"
