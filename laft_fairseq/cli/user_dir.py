"""`laft user-dir`: where the installed package is, for fairseq's `--user-dir`."""

import argparse
from pathlib import Path

EPILOG = """\
example:
  fairseq-train data-bin --user-dir "$(laft user-dir)" --arch laft_mbart --task laft_generation ...

From the root of the repository `--user-dir laft_fairseq` is the same.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the parser of `laft user-dir`."""
    subparsers.add_parser(
        "user-dir",
        help="print the path to give to fairseq's --user-dir",
        description="Print the path of the installed package, to give to fairseq's --user-dir.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(args: argparse.Namespace) -> int:
    """Print the folder of the package."""
    print(Path(__file__).absolute().parent.parent)
    return 0
