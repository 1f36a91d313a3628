"""Run a command on a device of its own: `python command.py [OPTIONS] -- COMMAND`.

Among all that run on this machine no two get the same GPU: each is held by a lock on a file, which
ends with the process that has it. Where there is no GPU the command gets `--cpu`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from laft_fairseq.errors import LaftError
from laft_fairseq.files import write_json

PR_SET_PDEATHSIG = 1
UUID = re.compile(r"UUID: ((GPU|MIG)-[^)]+)\)")


def visible_gpus() -> list[str]:
    """Return the UUIDs of the GPUs that this process may use, those of their MIG parts instead."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return []
    uuids: list[str] = []
    for uuid, kind in UUID.findall(listed.stdout) if listed.returncode == 0 else ():
        if kind == "MIG" and uuids and uuids[-1].startswith("GPU"):
            uuids.pop()
        uuids.append(uuid)
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return uuids
    numbered = {str(number): uuid for number, uuid in enumerate(uuids)}
    words = [word.strip() for word in chosen.split(",")]
    named = [numbered.get(word) or next((u for u in uuids if word and u.startswith(word)), None)
             for word in words]  # fmt: skip
    return [uuid for uuid in named if uuid]


@contextlib.contextmanager
def reserved(count: int, device: str) -> Iterator[tuple[list[str], list[IO[str]]]]:
    """Hold `count` GPUs, waiting for free ones; none where there are none.

    Args:
        count: how many.
        device: `auto`, `cpu`, or `gpu` where it is an error that there is none.

    Yields:
        Their UUIDs, and the locked files, which a child has to inherit.
    """
    gpus = [] if device == "cpu" else visible_gpus()
    if not gpus and device != "gpu":
        yield [], []
        return
    if count > len(gpus):
        raise LaftError(f"devices: {count} asked for, nvidia-smi and CUDA_VISIBLE_DEVICES show "
                        f"{len(gpus)}")  # fmt: skip
    folder = Path(tempfile.gettempdir()) / f"laft-devices-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        with contextlib.ExitStack() as stack:
            held: dict[str, IO[str]] = {}
            for uuid in gpus:
                handle = stack.enter_context((folder / uuid.replace("/", "_")).open("w"))
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held[uuid] = handle
                if len(held) == count:
                    yield list(held), list(held.values())
                    return
        time.sleep(random.uniform(0.2, 1.0))


def _end_with_parent() -> None:
    """In the child: be killed when the parent is."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def last_errors(path: Path) -> str:
    """Return the end of a log in one line: what went wrong."""
    text = path.read_text("utf-8", errors="replace")
    lines = list(filter(None, map(str.strip, text.splitlines())))
    errors = [line for line in lines if "error" in line.lower()]
    return " / ".join((errors or lines)[-2:])[-400:] or "no output"


def run(
    command: Sequence[str],
    output: Path,
    errors: Path | None = None,
    *,
    devices: int = 1,
    device: str = "auto",
    parallel: bool = False,
    inherited: Sequence[int] = (),
) -> dict[str, Any]:
    """Run a command on devices of its own; return its seconds and the most memory it took.

    Args:
        command: program and arguments.
        output: log that its output is appended to; `errors` gets its errors, if given.
        devices, device: as `reserved` takes them.
        parallel: whether the command takes `--distributed-world-size`.
        inherited: file descriptors that it keeps open.

    Raises:
        LaftError: it ended with an error.
    """
    with contextlib.ExitStack() as stack:
        gpus, locks = stack.enter_context(reserved(devices, device))
        words, environment = [*command], {**os.environ}
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
            words += ["--distributed-world-size", str(devices)] if parallel else []
        else:
            words.append("--cpu")
        output.parent.mkdir(parents=True, exist_ok=True)
        out = stack.enter_context(output.open("ab" if errors is None else "wb"))
        start = time.monotonic()
        child = subprocess.Popen(
            words, stdout=out, stderr=stack.enter_context(errors.open("wb")) if errors else out,
            stdin=subprocess.DEVNULL, env=environment, preexec_fn=_end_with_parent,
            pass_fds=[*inherited, *(lock.fileno() for lock in locks)],
        )  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        log = errors or output
        raise LaftError(f"{command[0]} ended with {child.returncode}: {last_errors(log)} ({log})")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {
        "seconds": round(time.monotonic() - start, 1),
        "peak_mib": round(usage.ru_maxrss / unit),
    }


def portable(command: Sequence[str], out: Path, root: str | Path) -> str:
    """Return a command in one line, `out` in it as `$OUT` and paths below `root` relative to it."""
    words = [word.replace(str(out), "@OUT").replace(f"{root}/", "") for word in command]
    return shlex.join(words).replace("@OUT", "$OUT")  # not quoted where nothing else has to be


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument("--output", type=Path, required=True, help="written when it has ended")
    parser.add_argument("--usage", type=Path, help="JSON of its seconds and memory")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    partial, errors = (given.output.with_name(f"{given.output.name}.{end}")
                       for end in ("partial", "err"))  # fmt: skip
    try:
        usage = run(given.command, partial, errors, device=given.device)
    except LaftError as error:
        sys.exit(str(error))
    partial.replace(given.output)
    if given.usage:
        write_json(given.usage, usage)


if __name__ == "__main__":
    main()
