"""Translate-train's pairs: rows of the English ones, and the same as long as `OUT` is there.

`OUT/translated.json` has the digests of the files that were given first.
"""

from __future__ import annotations

import argparse
import json

from binary_layout import digest
from text_files import DataError, read_tsv
from translate_shards import write_json
from xnlg_layout import LANGUAGES

RECORD = "translated.json"


def check_translated(options: argparse.Namespace) -> None:
    """The translated training pairs have the rows of the English ones.

    Raises:
        DataError: a file is missing, or its rows are others.
    """
    english = options.out / "raw" / f"{options.tags[0]}.train.tsv"
    names = [row[0] for row in read_tsv(english, 4)]
    for tag in options.tags[1:]:
        path = options.translated / f"{tag}.train.tsv"
        remedy = f"preprocess/translate.sh --in {english} --out {path} makes it"
        if not path.is_file():
            raise DataError(f"{path}: missing ({LANGUAGES[tag][1]}, {tag}); {remedy}")
        theirs = [row[0] for row in read_tsv(path, 4)]
        if theirs != names:
            raise DataError(f"{path}: {len(theirs):,} rows that are not the {len(names):,} of "
                            f"{english} ({LANGUAGES[tag][1]}, {tag}); {remedy}")  # fmt: skip


def keep_translated(options: argparse.Namespace) -> None:
    """Record which files were given, or find that they are those of before.

    Raises:
        DataError: one of them is another.
    """
    record = options.out / RECORD
    paths = {tag: options.translated / f"{tag}.train.tsv" for tag in options.tags[1:]}
    made = {path.name: digest(path) for path in paths.values()}
    if not record.is_file():
        write_json(record, made)
        return
    told = json.loads(record.read_text(encoding="utf-8"))
    for tag, path in paths.items():
        if told.get(path.name) != made[path.name]:
            raise DataError(f"{path}: not the translation ({LANGUAGES[tag][1]}, {tag}) that "
                            f"{options.out} was made with; name another --out")  # fmt: skip
