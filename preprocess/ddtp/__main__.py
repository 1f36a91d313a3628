"""Headline data from Debian's package descriptions: `build` the full set, `extract` a modest one.

    python -m preprocess.ddtp build --lists LISTS --out ddtp --langs en,fr,zh_CN
    python -m preprocess.ddtp extract --ddtp ddtp --mono mono --out examples/ddtp/data

`preprocess/ddtp.sh` fetches the lists that `build` reads.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from laft_fairseq.errors import LaftError
from preprocess.common.command import command_parser, run_command
from preprocess.common.files import write_lines
from preprocess.ddtp.extract import TAGS, extract
from preprocess.ddtp.index import read_lists
from preprocess.ddtp.select import SPLITS, select


def build(options: argparse.Namespace) -> None:
    """Read apt's lists, split them, write `{lang}.{split}.tsv.xz` and print the counts."""
    langs = options.langs.split(",")
    if langs[0] != "en":
        raise LaftError(f"--langs {options.langs}: the first language must be en")
    selection = select(read_lists(options.lists, options.suites.split(","), langs))
    left_out = "examples of train or valid left out, as they resemble a test item"
    print(f"{selection.families} families; {selection.leaked} {left_out}")
    print("| lang | train | valid | test |\n|---|---|---|---|")
    for lang in langs:
        counts = []
        for split in SPLITS:
            rows = (example.row() for example in selection.examples[lang][split])
            counts.append(write_lines(options.out / f"{lang}.{split}.tsv.xz", rows))
        print(f"| {lang} | " + " | ".join(f"{count:,}" for count in counts) + " |")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = command_parser("python -m preprocess.ddtp", str(__doc__))
    commands = top.add_subparsers(required=True, metavar="{build,extract}")
    command = commands.add_parser("build", help="the full set, from apt's lists")
    add = command.add_argument
    add("--lists", type=Path, required=True, help="folder of apt's list files")
    add("--out", type=Path, required=True, help="folder for the TSV files")
    add("--langs", default="en,fr,zh_CN,de", help="Debian codes, en first")
    add("--suites", default="bullseye,bookworm,trixie,sid", help="oldest first (%(default)s)")
    command.set_defaults(run=build)
    command = commands.add_parser("extract", help="a modest set with monolingual lines")
    add = command.add_argument
    add("--ddtp", type=Path, required=True, help="folder that `build` wrote")
    add("--out", type=Path, required=True, help="folder for the extract")
    add("--mono", type=Path, help="more text: {lang}.txt.xz (text, tab, source) or an extract")
    add("--langs", default="en,fr,zh_CN", help=f"en first, then any of {', '.join(TAGS)}")
    add("--pairs", type=int, default=0, help="training pairs; 0: all")
    add("--valid", type=int, default=500, help="English valid pairs; 0: all")
    add("--valid-target", type=int, default=200, help="valid pairs of each target; 0: all")
    add("--mono-bytes", type=int, default=1_000_000, help="of a language; 0: all")
    command.set_defaults(run=extract)
    return top


if __name__ == "__main__":
    arguments = parser().parse_args()
    sys.exit(run_command("ddtp", lambda: arguments.run(arguments)))
