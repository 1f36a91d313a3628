"""What the commands share: their parsers, and how an input error ends them."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any

from laft_fairseq.errors import LaftError


def command_parser(script: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
    """A parser whose help keeps the line breaks of its description and its epilog."""
    return argparse.ArgumentParser(
        prog=script,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def number(kind: type, least: float, most: float = math.inf) -> Callable[[str], Any]:
    """A parser of numbers in a range."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text}: from {least} to {most}")
        return value

    return parse


positive = number(int, 1)


def column_numbers(text: str) -> list[int]:
    """Parse the numbers of a TSV file's columns, such as `3,4`."""
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text}: columns counted from 1, each once")
    return numbers


def run_command(name: str, command: Callable[[], object], stopped: str = "stopped") -> int:
    """Run a command and return its exit status: an input error is one line on stderr, and 1."""
    try:
        command()
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except LaftError as error:
        message = str(error)
    except KeyboardInterrupt:
        print(f"{name}: {stopped}", file=sys.stderr)
        return 130
    else:
        return 0
    print(f"{name}: {message}", file=sys.stderr)
    return 1
