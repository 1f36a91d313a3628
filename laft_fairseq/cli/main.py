"""`laft COMMAND ...`: find the subcommands, run one, turn wrong input into one line."""

import argparse
import contextlib
import errno
import importlib
import importlib.metadata
import io
import logging
import os
import pkgutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from types import ModuleType

import laft_fairseq.cli
from laft_fairseq.errors import LaftError, in_one_line, laft_error_in

UNFORESEEN = 1
WRONG_INPUT = 2  # as argparse
INTERRUPTED = 130  # as a shell reports SIGINT
OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE}

EPILOG = """\
example:
  laft components --backbone mbart.pt --data data-bin --langs en_XX,fr_XX --out c.safetensors
  laft COMMAND --help

LAFT_DEBUG=1 in the environment shows where an error came from.
"""


def subcommands() -> dict[str, ModuleType]:
    """Return the modules beside this one that can be run, by the name that the user types."""
    modules = {}
    for info in pkgutil.iter_modules(laft_fairseq.cli.__path__):
        if info.name in {"main", "__main__"}:
            continue
        module = importlib.import_module(f"{laft_fairseq.cli.__name__}.{info.name}")
        if hasattr(module, "run"):
            modules[info.name.replace("_", "-")] = module
    return modules


def version() -> str:
    """Return the installed version, or a word for a source tree that was never installed."""
    try:
        return importlib.metadata.version("laft_fairseq")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def build_parser(commands: dict[str, ModuleType]) -> argparse.ArgumentParser:
    """Return the parser of `laft` with one subparser for each of `commands`."""
    parser = argparse.ArgumentParser(
        prog="laft",
        description="Language-agnostic finetuning: what stands beside fairseq's own commands.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"laft_fairseq {version()}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in commands.items():
        subparser = subparsers.add_parser(
            name,
            help=module.HELP,
            description=getattr(module, "DESCRIPTION", module.__doc__),
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(subparser)
    return parser


def one_line(error: LaftError | OSError) -> str:
    """Return what went wrong, without line breaks; an OSError as `file: reason`.

    One without a file's name is of a stream: what is written to files names them (files.py).
    """
    if isinstance(error, OSError) and error.strerror:
        stream = "standard output" if error.errno in OF_WRITING else "standard input"
        return f"{error.filename or stream}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _log_lines() -> Iterator[None]:
    """Show what the package logs, as `laft: ...` on standard error."""
    logger = logging.getLogger("laft_fairseq")
    before = logger.level, logger.propagate
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("laft: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@contextlib.contextmanager
def _without_library_warnings() -> Iterator[None]:
    """Let no Python warning of the libraries through about which a user can do nothing."""
    with warnings.catch_warnings():
        for kind in (UserWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=kind, module=r"(fairseq|hydra|torch)\b")
        yield


def _report(error: Exception) -> int:
    """Print what went wrong as one line and return the exit status."""
    known = laft_error_in(error) or (error if isinstance(error, OSError) else None)
    if known is None:
        line = f"{type(error).__name__}: {in_one_line(error)} (LAFT_DEBUG=1 shows where)"
        print(f"laft: error: {line}", file=sys.stderr)
        return UNFORESEEN
    print(f"laft: error: {one_line(known)}", file=sys.stderr)
    _drop_stdout()
    return WRONG_INPUT


def _drop_stdout() -> None:
    """Throw away what standard output can no longer take, for the interpreter to end quietly."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run `laft` on `argv` (default: the process's own) and return the exit status."""
    if sys.stderr is None:  # closed; what is printed there would go to the standard output
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        print("laft: error: standard output is closed", file=sys.stderr)
        return WRONG_INPUT
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Of a terminal that lacks a character; and argparse hides an error of writing.
        sys.stdout.reconfigure(errors="replace", write_through=False)
    commands = subcommands()
    try:
        try:
            args = build_parser(commands).parse_args(argv)
            logging.getLogger("fairseq").setLevel(logging.WARNING)  # set before fairseq is loaded
            with _log_lines(), _without_library_warnings():
                status: int = commands[args.command].run(args)
        finally:
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader went away (`laft ... | head`)
        _drop_stdout()
        return 1
    except KeyboardInterrupt:
        print("laft: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("LAFT_DEBUG") == "1":
            raise
        return _report(error)
