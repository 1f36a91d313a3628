"""The command line of `cc100.sh`, and the choices that make a sample."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cc100_filters import MOST_CHARS, default_min_chars, script_of
from text_files import DataError

EXAMPLE = """\
Every distinct line that passes the filters has the same chance; the same seed gives the same
sample, also after a kill. Lines come out in random order, those for validation in OUT's name with
.valid before its suffixes. Beside the output OUT.provenance.json tells what made it.

example:
  preprocess/cc100.sh --in en.txt.xz --lang en_XX --out mono/en_XX.txt.xz
  preprocess/cc100.sh --in zh-Hans.txt.xz --lang zh_CN --out mono/zh_CN.txt.xz --first 100000
"""


def choices_of(options: argparse.Namespace) -> dict[str, Any]:
    """What makes the sample: must not change before it is whole, nor differ once it is there."""
    script = options.script or script_of(options.lang)
    shortest = options.min_chars or default_min_chars(script)
    choices = {
        "input": options.input if options.input == "-" else Path(options.input).name,
        "lang": options.lang,
        "sentences": options.first or options.sentences,
        "valid": options.valid,
        "first": bool(options.first),
        "seed": options.seed,
        "duplicates": options.duplicates,
        "script": script,
        "min_chars": shortest,
        "max_chars": options.max_chars,
        "min_letters": options.min_letters,
        "min_script": options.min_script,
        "addresses": options.keep_addresses,
    }
    if options.no_filters:
        choices |= {"min_chars": 1, "max_chars": MOST_CHARS, "min_letters": 0.0,
                    "min_script": 0.0, "addresses": True}  # fmt: skip
    if choices["min_chars"] > choices["max_chars"]:
        raise DataError(f"--max-chars {options.max_chars}: under --min-chars {shortest}")
    return choices


def count(least: int, most: int | None = None) -> Callable[[str], int]:
    """Parse a number of `least` or more."""

    def parse(text: str) -> int:
        number = int(text)
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(
                f"{text}: at least {least}" + (f", at most {most}" if most else "")
            )
        return number

    return parse


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text}: from 0 to 1")
    return number


def parser() -> argparse.ArgumentParser:
    """The command line, as `cc100.sh` shows it."""
    top = argparse.ArgumentParser(
        prog="cc100.sh",
        description="A random sample of the sentences of a text too big to hold, one a line.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = top.add_argument
    add("--in", dest="input", required=True, metavar="FILE",
        help="text, .xz or .gz; - is standard input, decompressed")  # fmt: skip
    add("--lang", required=True, metavar="TAG", help="its language, as fr_XX: names the script")
    add("--out", type=Path, required=True, metavar="FILE", help="to write; .xz is compressed")
    size = top.add_mutually_exclusive_group()
    size.add_argument("--sentences", type=count(1), default=1_000_000, metavar="N",
                      help="to train on (%(default)s)")  # fmt: skip
    size.add_argument("--first", type=count(1), metavar="N",
                      help="no sample: the first N (and --valid) that pass")  # fmt: skip
    add("--valid", type=count(0), default=2000, metavar="N",
        help="more sentences, for validation (%(default)s)")  # fmt: skip
    add("--seed", type=int, default=1, help="another gives another sample (%(default)s)")
    add("--min-chars", type=count(1, MOST_CHARS), metavar="N",
        help="shorter lines go out (20; zh, ja, ko 10)")  # fmt: skip
    add("--max-chars", type=count(1, MOST_CHARS), default=1000, metavar="N",
        help="longer lines go out (%(default)s)")  # fmt: skip
    add("--min-letters", type=share, default=0.6, metavar="P",
        help="share of letters among what is no white space (%(default)s)")  # fmt: skip
    add("--min-script", type=share, default=0.5, metavar="P",
        help="share of the language's script among the letters (%(default)s)")  # fmt: skip
    add("--script", metavar="NAMES", help="the script, if not the language's: Latin,Cyrillic")
    add("--keep-addresses", action="store_true", help="keep lines with a web address")
    add("--no-filters", action="store_true",
        help="keep all but blank, damaged, repeated and very long lines")  # fmt: skip
    add("--duplicates", choices=("exact", "loose"), default="exact",
        help="loose: lines are equal whatever ASCII case, digits, spaces, punctuation")  # fmt: skip
    add("--work", type=Path, metavar="DIR", help="where the state is kept (OUT.work)")
    add("--save-minutes", type=float, default=5, metavar="M", help="between states (%(default)s)")
    add("--log-seconds", type=float, default=60, metavar="S",
        help="between lines of progress, where there is no terminal (%(default)s)")  # fmt: skip
    return top
