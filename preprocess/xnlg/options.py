"""The command lines of `xgiga.sh` and `xqg.sh`."""

from __future__ import annotations

import argparse
from pathlib import Path

from qg_limits import encodes, load_model
from text_files import DataError
from xnlg_layout import Layout

SEPARATORS = ("⏎", "|")  # the first that the backbone's sentencepiece model can encode
MONO = (
    "sources (those of training), or a folder with mono.<tag>.txt or <tag>.txt, plain, .gz or .xz"
)
ABOUT = {
    "xgiga": "XGIGA, as the XNLG project ships it -> text and data-bin for headlines.",
    "xqg": "XQG, as the XNLG project ships it -> text and data-bin for questions.",
}
EXAMPLE = """\
files: {files}
  of the XNLG project, CZWin32768/XNLG

example:
  preprocess/{name}.sh --data {name} --backbone mbart.cc25 --out out/{name}
"""


def parser(layout: Layout) -> argparse.ArgumentParser:
    """The command line; limits are XNLG's, counted in pieces of the backbone's model."""
    sides, questions = ",".join(layout.sides), len(layout.sides) > 2
    langs = ",".join(tag[:2] for tag in layout.languages)
    files = f"{{train,dev,test}}.{{{sides}}}.{{{langs}}}{layout.suffix}"
    top = argparse.ArgumentParser(
        prog=f"{layout.name}.sh",
        description=ABOUT[layout.name],
        epilog=EXAMPLE.format(name=layout.name, files=files),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = top.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of the files below")
    add("--backbone", type=Path, required=True, metavar="DIR",
        help="folder with sentence.bpe.model and dict.txt (and langs.txt)")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="gets raw/ and data-bin/")
    add("--targets", default=",".join(layout.languages[1:]), metavar="L,L",
        help="languages beside English (%(default)s)")  # fmt: skip
    add("--mono", default="sources", metavar="FROM", help=f"unlabelled text: {MONO} (%(default)s)")
    add("--mono-valid", type=positive, default=500, metavar="N",
        help="its last texts, for validation (%(default)s)")  # fmt: skip
    add("--pairs-only", action="store_true", help="binarise no unlabelled text")
    add("--translated", type=Path, metavar="DIR",
        help="translate-train: folder with <tag>.train.tsv, raw/en_XX.train.tsv as translate.sh "
        "translates it")  # fmt: skip
    evidence, target = (230, 256) if questions else (120, 120)
    add("--max-source" if not questions else "--max-evidence", dest="max_evidence", type=positive,
        default=evidence, metavar="N", help="pieces, longer is cut (%(default)s)")  # fmt: skip
    top.set_defaults(max_answer=None, separator=None)
    if questions:
        add("--max-answer", type=positive, default=20, metavar="N",
            help="pieces, longer is cut (%(default)s)")  # fmt: skip
        add("--separator", metavar="MARK", help="between evidence and answer (the first of "
            f"{' '.join(SEPARATORS)} that the model can encode)")  # fmt: skip
    add("--max-target", dest="max_question", type=positive, default=target, metavar="N",
        help="pieces, longer is left out of training (%(default)s)")  # fmt: skip
    for split in ("valid", "test"):
        add(f"--{split}-items", type=positive, metavar="N", help="the first N items only")
    add("--workers", type=positive, default=1, metavar="N", help="processes that binarise (1)")
    return top


def positive(text: str) -> int:
    """Parse a limit or a number of items."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return number


def tags_of(layout: Layout, targets: str) -> list[str]:
    """English and the languages of `--targets`.

    Raises:
        DataError: the data set does not have one of them.
    """
    tags = targets.split(",")
    for tag in tags:
        if tag not in layout.languages[1:]:
            known = ", ".join(layout.languages[1:])
            raise DataError(f"--targets {tag}: beside English, {layout.name} has {known}")
    return [layout.languages[0], *dict.fromkeys(tags)]


def usable_separator(layout: Layout, options: argparse.Namespace) -> str | None:
    """What stands between evidence and answer; None where there is no answer.

    Raises:
        DataError: `--separator` has spaces, or the sentencepiece model cannot encode it.
    """
    if len(layout.sides) == 2:
        return None
    if options.separator is not None:
        mark = str(options.separator)
        if mark.split() != [mark]:
            raise DataError(f"--separator {mark!r}: one word or mark, without spaces")
        return mark
    model = load_model(options.spm)
    for mark in SEPARATORS:
        if encodes(model, mark):
            return mark
    raise DataError(f"{options.spm} encodes none of {' '.join(SEPARATORS)}: give --separator")
