"""Translate-train's pairs: translations of the English ones, the same as long as `OUT` is there."""

from __future__ import annotations

import argparse

from laft_fairseq.errors import LaftError
from preprocess.common.files import digest, read_json, read_tsv, write_json
from preprocess.xnlg.layout import language

RECORD = "translated.json"  # in OUT: the digests of the files that were given first


def check_translated(options: argparse.Namespace) -> None:
    """Check that the files of `--translated` have the rows of the English ones, and record them.

    Raises:
        LaftError: a file is missing, its rows are others, or it is not the one recorded before.
    """
    english = options.out / "raw" / f"{options.tags[0]}.train.tsv"
    names = [row[0] for row in read_tsv(english, 4)]
    record = options.out / RECORD
    before, now = read_json(record) if record.is_file() else {}, {}
    for tag in options.tags[1:]:
        path = options.translated / f"{tag}.train.tsv"
        remedy = f"preprocess/translate.sh --in {english} --out {path} makes it"
        if not path.is_file():
            raise LaftError(f"{path}: missing ({language(tag)}); {remedy}")
        rows = [row[0] for row in read_tsv(path, 4)]
        if rows != names:
            raise LaftError(f"{path}: {len(rows):,} rows that are not the {len(names):,} of "
                            f"{english} ({language(tag)}); {remedy}")  # fmt: skip
        now[path.name] = digest(path)
        if before and before.get(path.name) != now[path.name]:
            raise LaftError(f"{path}: not the translation ({language(tag)}) that {options.out} was "
                            "made with; name another --out")  # fmt: skip
    if not before:
        write_json(record, now)
