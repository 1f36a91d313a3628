"""The last line of a command of fairseq's that fails: what is wrong, and with which option."""

import os
import re
import sys
import traceback
from itertools import zip_longest
from types import TracebackType
from typing import Any

from laft_fairseq.compat.patching import wrap
from laft_fairseq.errors import flag, in_one_line, laft_error_in

current: dict[str, str] = {}  # the options that the running command was given, by name


def expect_errors() -> None:
    """Let an error end the command in one line, which names its options as they were given."""
    wrap(sys, excepthook)
    words = [part for word in sys.argv[1:] for part in word.split("=", 1)]
    current.clear()
    for word, value in zip_longest(words, words[1:], fillvalue=""):
        if word.startswith("--"):
            current[word[2:].replace("-", "_")] = "" if value.startswith("--") else value


def excepthook(
    stock: Any, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an error of a command of fairseq's as one line; LAFT_DEBUG=1 shows the traceback."""
    if os.environ.get("LAFT_DEBUG") == "1":
        stock(kind, error, trace)
    elif isinstance(error, KeyboardInterrupt):
        print("laft: interrupted", file=sys.stderr)
    else:
        print(f"laft: error: {laft_error_in(error) or describe(error)}", file=sys.stderr)


def describe(error: BaseException) -> str:
    """An error that fairseq raised in one line, with the options that it speaks of, if any.

    Those are the options whose text the message has, or the names of which are in it or in a line
    of code on the way to it, the innermost of these.
    """
    code = [frame.line or "" for frame in traceback.extract_tb(error.__traceback__)][::-1]
    message = in_one_line(error) or next(iter(code), "")
    text = f"{message} {getattr(error, 'text', None) or ''}"  # of a value that is no Python
    values = {word.strip("'\":;,") for word in text.split()}
    named = [name for name, value in current.items() if value.strip("-.0123456789")
             and (value in values or (os.sep in value and value in text))]  # fmt: skip
    for line in [text, *code]:
        named = named or [name for name in current if name in re.findall(r"\w+", line)]
    options = ", ".join(f"{flag(name)} {current[name]}".strip() for name in named)
    prefix = f"{options}: " if options else ""
    return f"{prefix}{message} ({type(error).__name__}; LAFT_DEBUG=1 shows where)"
