"""`laft COMMAND ...`: find the subcommands, run one, turn wrong input into one line."""

import argparse
import contextlib
import importlib
import importlib.metadata
import io
import logging
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

import laft_fairseq.cli
from laft_fairseq.errors import LaftError

WRONG_INPUT = 2  # as argparse
INTERRUPTED = 130  # as a shell reports SIGINT

EPILOG = """\
example:
  laft components --backbone mbart.pt --data data-bin --langs en_XX,fr_XX --out c.safetensors
  laft COMMAND --help

LAFT_DEBUG=1 in the environment shows where an error came from.
"""


def subcommands() -> dict[str, ModuleType]:
    """Return the modules beside this one that add a parser, by the name that the user types."""
    modules = {}
    for info in pkgutil.iter_modules(laft_fairseq.cli.__path__):
        if info.name in {"main", "__main__"}:
            continue
        module = importlib.import_module(f"{laft_fairseq.cli.__name__}.{info.name}")
        if hasattr(module, "add_parser"):
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
    for module in commands.values():
        module.add_parser(subparsers)
    return parser


def one_line(error: LaftError | OSError) -> str:
    """Return what went wrong, without line breaks; an OSError as `file: reason`."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run `laft` on `argv` (default: the process's own) and return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # of a terminal that lacks a character
    commands = subcommands()
    args = build_parser(commands).parse_args(argv)
    logging.getLogger("fairseq").setLevel(logging.WARNING)  # set before fairseq is loaded
    try:
        with _log_lines():
            status: int = commands[args.command].run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader went away (`laft ... | head`): no message, and none at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("laft: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (LaftError, OSError) as error:
        if os.environ.get("LAFT_DEBUG") == "1":
            raise
        print(f"laft: error: {one_line(error)}", file=sys.stderr)
        return WRONG_INPUT
