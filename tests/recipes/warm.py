"""fairseq's and laft's commands without their start: forks of a process that has the imports done.

A recipe starts a dozen commands, and at a test's size importing is most of what they cost. Here a
server imports torch and fairseq once; stand-ins of the console scripts, first on PATH, hand it
their arguments, working directory, environment and standard streams, and end as the fork ends.
What the console scripts themselves do is tested in tests/integration.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

COMMANDS = {
    "fairseq-generate": "fairseq_cli.generate:cli_main",
    "fairseq-preprocess": "fairseq_cli.preprocess:cli_main",
    "fairseq-train": "fairseq_cli.train:cli_main",
    "laft": "laft_fairseq.cli.main:main",
}
# What those import too, but not they themselves: they set up logging when they are imported.
IMPORTED_BEFORE = ("torch", "fairseq", "scipy.linalg", "sentencepiece", "sacrebleu")
STAND_IN = """\
#!{python} -IS
import json, os, socket, struct, sys
asked = json.dumps([{target!r}, sys.argv, os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [struct.pack("<Q", len(asked))], [0, 1, 2])
    server.sendall(asked)
    answer = server.recv(16)
sys.exit(int(answer) if answer else 1)
"""


class Warm:
    """The server, and the folder of stand-ins that belongs first on PATH."""

    def __init__(self, folder: Path) -> None:
        address = str(folder / "socket")
        for name, target in COMMANDS.items():
            text = STAND_IN.format(python=sys.executable, target=target, address=address)
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.folder = folder
        self.server = subprocess.Popen(
            [sys.executable, __file__, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self.server.stdout is None or self.server.stdout.readline() != b"ready\n":
            raise RuntimeError("the server of the recipes' commands did not start")

    def path(self) -> str:
        """PATH with the stand-ins first, then this interpreter's commands."""
        own = str(Path(sys.executable).parent)
        return os.pathsep.join([str(self.folder), own, os.environ["PATH"]])

    def stop(self) -> None:
        """End the server: it stops when its input does."""
        if self.server.stdin is not None:
            self.server.stdin.close()
        self.server.wait(timeout=60)


def run(target: str, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """In a fork: what the console script of a command does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    module, function = target.split(":")
    sys.exit(getattr(importlib.import_module(module), function)())


def received(connection: socket.socket) -> list[object]:
    """What a stand-in asks for; its standard streams become this process's own."""
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    missing, parts = int.from_bytes(head, "little"), []
    while missing:
        parts.append(connection.recv(min(missing, 2**16)))
        missing -= len(parts[-1])
    return json.loads(b"".join(parts))  # type: ignore[no-any-return]


def serve(address: str) -> None:
    """Fork for each stand-in that asks: one process that runs, and one that tells how it ended."""
    for name in IMPORTED_BEFORE:
        importlib.import_module(name)
    logging.root.handlers.clear()  # the commands set up their own
    logging.root.setLevel(logging.WARNING)
    if threading.active_count() > 1:
        raise RuntimeError("an import started a thread: forks of this process could hang")
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        print("ready", flush=True)
        while listener in (ready := select.select([listener, 0], [], [])[0]) and 0 not in ready:
            connection, _ = listener.accept()
            children()
            if os.fork():
                connection.close()
                continue
            listener.close()
            target, arguments, folder, environment = received(connection)
            worker = os.fork()
            if not worker:
                connection.close()
                run(target, arguments, folder, environment)  # type: ignore[arg-type]
            code = ended(worker, connection)
            connection.sendall(str(code if code >= 0 else 128 - code).encode())
            os._exit(0)
    while children():
        os.wait()


def ended(worker: int, connection: socket.socket) -> int:
    """The exit state of a command; it is killed when its stand-in is."""
    while not (found := os.waitpid(worker, os.WNOHANG))[0]:
        if select.select([connection], [], [], 0.02)[0]:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            os._exit(1)
    return os.waitstatus_to_exitcode(found[1])


def children() -> bool:
    """Whether there are children left, those aside that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    serve(sys.argv[1])
