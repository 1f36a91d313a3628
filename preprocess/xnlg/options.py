"""The command lines of `xgiga.sh` and `xqg.sh`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from preprocess.common.command import command_parser, positive
from preprocess.qg.limits import encodes
from preprocess.xnlg.layout import Layout

SEPARATORS = ("⏎", "|")  # the first that the backbone's sentencepiece model can encode
MONO = (
    "sources (those of training), or a folder with mono.<tag>.txt or <tag>.txt, plain, .gz or .xz"
)
EXAMPLE = """\
files: {{train,dev,test}}.{{{sides}}}.{{{langs}}}{suffix}
  of the XNLG project, CZWin32768/XNLG

example:
  preprocess/{name}.sh --data {name} --backbone mbart.cc25 --out out/{name}
"""


def parser(layout: Layout) -> argparse.ArgumentParser:
    """The command line; limits are XNLG's, counted in subwords of the backbone's model."""
    langs = ",".join(tag[:2] for tag in layout.languages)
    example = EXAMPLE.format(
        sides=",".join(layout.sides), langs=langs, suffix=layout.suffix, name=layout.name
    )
    top = command_parser(f"{layout.name}.sh", layout.about, example)
    evidence, answer, target = layout.limits
    add = top.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of the files below")
    add("--backbone", type=Path, required=True, metavar="DIR",
        help="folder with sentence.bpe.model and dict.txt (and langs.txt)")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="gets raw/ and data-bin/")
    add("--targets", default=",".join(layout.languages[1:]), metavar="L,L",
        help="languages beside English (%(default)s)")  # fmt: skip
    add("--mono", default="sources", metavar="FROM", help=f"unlabelled text: {MONO} (%(default)s)")
    add("--pairs-only", action="store_true", help="binarise no unlabelled text")
    add("--translated", type=Path, metavar="DIR",
        help="translate-train: folder with <tag>.train.tsv, raw/en_XX.train.tsv as translate.sh "
        "translates it")  # fmt: skip
    top.set_defaults(max_evidence=evidence, max_answer=answer, separator=None)
    if layout.has_answers:
        add("--max-evidence", type=positive, default=evidence, metavar="N",
            help="subwords, longer is cut (%(default)s)")  # fmt: skip
        add("--max-answer", type=positive, default=answer, metavar="N",
            help="subwords, longer is cut (%(default)s)")  # fmt: skip
        add("--separator", metavar="MARK", help="between evidence and answer (the first of "
            f"{' '.join(SEPARATORS)} that the model can encode)")  # fmt: skip
    add("--max-target", dest="max_question", type=positive, default=target, metavar="N",
        help="subwords, longer is left out of training (%(default)s)")  # fmt: skip
    for split in ("valid", "test"):
        add(f"--{split}-items", type=positive, metavar="N", help="the first N items only")
    add("--workers", type=positive, default=1, metavar="N", help="processes that binarise (1)")
    return top


def tags_of(layout: Layout, targets: str) -> list[str]:
    """English and the languages of `--targets`.

    Raises:
        LaftError: the data set does not have one of them.
    """
    tags = targets.split(",")
    for tag in tags:
        if tag not in layout.languages[1:]:
            known = ", ".join(layout.languages[1:])
            raise LaftError(f"--targets {tag}: beside English, {layout.name} has {known}")
    return [layout.languages[0], *dict.fromkeys(tags)]


def usable_separator(layout: Layout, option: str | None, model: Any) -> str | None:
    """What stands between evidence and answer; None where there is no answer.

    Raises:
        LaftError: `--separator` has spaces, or the sentencepiece model cannot encode it.
    """
    if not layout.has_answers:
        return None
    if option is not None and option.split() != [option]:
        raise LaftError(f"--separator {option!r}: one word or mark, without spaces")
    for mark in SEPARATORS if option is None else [option]:
        if encodes(model, mark):
            return mark
    marks = option or " ".join(SEPARATORS)
    raise LaftError(f"the backbone's sentencepiece model cannot encode {marks}: give --separator")
