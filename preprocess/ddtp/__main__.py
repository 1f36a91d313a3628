"""Headline data from Debian's package descriptions: `build` the full set, `extract` a modest one.

    python preprocess/ddtp.py build --lists LISTS --out ddtp --langs en,fr,zh_CN
    python preprocess/ddtp.py extract --ddtp ddtp --mono mono --out examples/ddtp/data

`preprocess/ddtp.sh` fetches the lists that `build` reads.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ddtp_extract import add_extract_arguments, extract
from ddtp_index import read_lists
from ddtp_select import SPLITS, select
from text_files import DataError, one_line, write_xz


def build(options: argparse.Namespace) -> None:
    """Read apt's lists, split them, write `{lang}.{split}.tsv.xz` and print the counts."""
    langs = options.langs.split(",")
    if langs[0] != "en":
        raise DataError(f"--langs {options.langs}: the first language must be en")
    index = read_lists(options.lists, options.suites.split(","), langs)
    report = select(index)
    print(f"{report.families} families; {report.leaked} train or valid rows like a test item out")
    print("| lang | train | valid | test |\n|---|---|---|---|")
    for lang in langs:
        counts = []
        for split in SPLITS:
            rows = (text.row() for text in report.rows[lang][split])
            counts.append(write_xz(options.out / f"{lang}.{split}.tsv.xz", rows))
        print(f"| {lang} | " + " | ".join(f"{count:,}" for count in counts) + " |")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar="{build,extract}")
    command = commands.add_parser("build", help="the full set, from apt's lists")
    command.add_argument("--lists", type=Path, required=True, help="folder of apt's list files")
    command.add_argument("--out", type=Path, required=True, help="folder for the TSV files")
    command.add_argument("--langs", default="en,fr,zh_CN,de", help="Debian codes, en first")
    command.add_argument(
        "--suites", default="bullseye,bookworm,trixie,sid", help="oldest first (%(default)s)"
    )
    command.set_defaults(run=build)
    command = commands.add_parser("extract", help="a modest set with monolingual lines")
    add_extract_arguments(command)
    command.set_defaults(run=extract)
    return top


def main() -> int:
    """Run a subcommand; an input error is one line."""
    options = parser().parse_args()
    try:
        options.run(options)
    except (DataError, OSError) as error:
        print(f"ddtp.py: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
