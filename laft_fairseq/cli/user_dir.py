"""`laft user-dir`: where the installed package is, for fairseq's `--user-dir`."""

import argparse
from pathlib import Path

HELP = "print the path to give to fairseq's --user-dir"
DESCRIPTION = "Print the path of the installed package, to give to fairseq's --user-dir."
EPILOG = """\
example:
  fairseq-train data-bin --user-dir "$(laft user-dir)" --arch laft_mbart --task laft_generation ...

From the root of the repository `--user-dir laft_fairseq` is the same.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""


def run(args: argparse.Namespace) -> int:
    """Print the folder of the package."""
    print(Path(__file__).absolute().parent.parent)
    return 0
