"""Raw text to subwords: where a split's text comes from, and what it is written as."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from laft_fairseq.errors import LaftError
from laft_fairseq.files import replacing
from laft_fairseq.languages.byte_fallback import check_coverage, is_byte, uncovered
from preprocess.binarize.splits import Split
from preprocess.common.files import read_lines
from preprocess.common.tables import Table, format_of

BATCH = 10_000
WARNED, REFUSED = 0.1, 0.5  # shares of a new language's characters that are <unk>
MAX_LINES = 100_000  # of a text are looked at
WORD_START = "\u2581"  # sentencepiece's mark


def tables_of(files: list[Path], options: argparse.Namespace) -> list[Table]:
    """The tables of a split: one with all its columns, or a plain text for each side.

    Raises:
        LaftError: there are too few files, or too many.
    """
    is_pairs = options.kind == "pairs"
    names = [options.source_column, options.target_column]
    if len(files) == 1 and format_of(files[0]):
        sides = 2 if is_pairs else 1
        return [Table(files[0], names[:sides], options.columns[:sides])]
    if len(files) != (2 if is_pairs else 1):
        need = "one table, or source and target" if is_pairs else "one file"
        raise LaftError(f"{options.kind}: a split is {need}, not {' '.join(map(str, files))}")
    return [Table(file, [None]) for file in files]


def sides_of(tables: list[Table], kind: str) -> list[Iterator[str]]:
    """The texts of each side of a split."""

    def column(table: Table, side: int) -> Iterator[str]:
        return (row[side] for _, row in table.rows())

    if len(tables) == 1:
        return [column(tables[0], side) for side in range(2 if kind == "pairs" else 1)]
    return [column(table, 0) for table in tables]


def encode(model: Any, lines: Iterator[str], out: Path, workers: int) -> tuple[int, int]:
    """Write lines as subwords with spaces between; return how many there are, and are empty."""
    count = empty = 0
    with replacing(out) as whole, whole.open("w", encoding="utf-8", newline="\n") as handle:
        while batch := list(islice(lines, BATCH)):
            count += len(batch)
            for subwords in model.encode(batch, out_type=str, num_threads=workers):
                empty += not subwords
                handle.write(" ".join(subwords) + "\n")
    return count, empty


def encode_split(
    model: Any, split: Split, tables: list[Table], options: argparse.Namespace, work: Path
) -> None:
    """Encode a split into `work / split.name` or its `.src` and `.tgt`, and count its lines."""
    counts: list[int] = []
    files = [table.path for table in tables]
    sides = sides_of(tables, options.kind)
    for side, (suffix, lines) in enumerate(zip(split.suffixes, sides, strict=True)):
        out = work / f"{split.name}{suffix}"
        count, empty = encode(model, lines, out, options.workers)
        if count == empty:
            is_tsv = tables[0].format == ".tsv" and not tables[0].header
            which = options.columns[side] if is_tsv else ("source", "target")[side]
            where = f"{files[0]}: column {which}" if tables[0].format else f"{files[side]}:"
            raise LaftError(f"{where} holds no text in {count:,} lines ({options.lang}); "
                            "it must hold one a line")  # fmt: skip
        counts.append(count)
        split.empty += empty
    if len(set(counts)) > 1:
        lengths = " and ".join(f"{f} has {n} lines" for f, n in zip(files, counts, strict=True))
        raise LaftError(f"{lengths}: source and target must have the same length")
    split.lines = counts[0]


def report_coverage(model: Any, encoded: Path, file: Path, lang: str, is_new: bool) -> str:
    """Return a warning where much of a text became bytes or `<unk>`; print how much of a new one.

    Of a new language characters are counted too, as sentencepiece makes one `<unk>` of a run of
    foreign letters, and writes a word's beginning as a subword before it.

    Args:
        model: the backbone's sentencepiece model.
        encoded: the text as subwords, a line each.
        file: where it comes from.
        lang: its language.
        is_new: whether the backbone never saw the language.

    Raises:
        LaftError: most is: the backbone has no subwords for this script.
    """
    vocabulary = [model.id_to_piece(number) for number in range(model.get_piece_size())]
    foreign = uncovered(vocabulary)  # (V,)
    counts = np.zeros(len(vocabulary), dtype=np.int64)
    characters = unknown = 0
    for line in islice(read_lines(encoded), MAX_LINES):
        subwords = line.split()
        ids = np.array(model.piece_to_id(subwords), dtype=np.int64)
        counts += np.bincount(ids, minlength=len(counts))
        if is_new:
            for subword, number in zip(subwords, ids.tolist(), strict=True):
                length = 1 if is_byte(subword) else len(subword.replace(WORD_START, ""))
                characters += length
                unknown += length * (number == model.unk_id())
    total, in_bytes = int(counts.sum()), int(counts[foreign].sum() - counts[model.unk_id()])
    if is_new:
        share = unknown / max(characters, 1)
        text = f"{lang} {encoded.name}: {100 * share:.1f} % of {characters:,} characters are <unk>"
        if share > REFUSED:
            raise LaftError(f"{text}; the sentencepiece model lacks this script")
        text += f", {100 * in_bytes / max(total, 1):.1f} % of {total:,} subwords are bytes"
        much = share > WARNED
        print(f"binarize: {'warning: ' * much}{text}{'; text with <unk> cannot be learned' * much}")
    return check_coverage(int(counts[foreign].sum()), total, lang, file)
