"""Warnings of a training that are said once more at its end, thousands of lines below."""

import logging
import sys

said: list[str] = []


def warn(logger: logging.Logger, message: str) -> None:
    """Log a warning now, and keep it for :func:`say_again`."""
    logger.warning(message)
    said.append(message)


def say_again() -> None:
    """Print what was warned of to standard error, once."""
    for message in said:
        print(f"laft: warning: {message}", file=sys.stderr)
    said.clear()
