"""Check the files of a task of one's own, and hold out lines for validation.

    RAW/{train,valid}.tsv              source, target
    RAW/mono.<tag>.{train,valid}       plain text, one text a line

Pairs are TSV, CSV, JSON, Parquet or a folder that `datasets` has saved, and text is that or plain.
Wrong files end in one line that names the user's own file, its line and what to do about it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.files import check_exists
from laft_fairseq.languages.byte_fallback import check_coverage
from laft_fairseq.languages.tags import split_tags
from laft_fairseq.languages.vocabulary_files import NEW_LANGS_FILE, SENTENCEPIECE
from preprocess.common.command import command_parser, run_command
from preprocess.common.files import others_of_its_name, write_lines
from preprocess.common.formats import few_texts
from preprocess.common.tables import FORMATS, Table
from preprocess.common.text import squeeze
from preprocess.common.vocabulary import known_languages, load_model, new_languages

MAX_PAIRS, MAX_SENTENCES = 500, 200  # for validation; a twentieth otherwise
LEAST = 20
LOOKED_AT = 10_000  # texts of a language
PAIR = "a line is source, tab, target"


def find(folder: Path, stem: str, endings: Sequence[str]) -> Path | None:
    """The file of a name with one of the endings, plain, `.gz` or `.xz`; or the folder."""
    paths = [path for ending in endings for packed in ("", ".gz", ".xz")
             if (path := folder / f"{stem}{ending}{packed}").is_file()]  # fmt: skip
    paths += [folder / stem] if (folder / stem).is_dir() else []
    if len(paths) > 1:
        raise LaftError(f"{paths[0]}: {paths[1].name} is there too; take one of them away")
    return paths[0] if paths else None


def gather(folder: Path, tags: list[str], names: Sequence[str | None]) -> dict[str, Table]:
    """The user's files by their use: `train`, `valid` and language tags.

    Args:
        folder: where they are.
        tags: the languages, that of the pairs first.
        names: of the columns of source and target.
    """
    stems = {"train": "train", "valid": "valid"} | {tag: f"mono.{tag}" for tag in tags}
    files = {}
    for use, stem in stems.items():
        is_pairs = use in ("train", "valid")
        path = find(folder, stem, FORMATS if is_pairs else (".txt", *FORMATS))
        if path is not None:
            files[use] = Table(path, names, [1, 2], exact=True) if is_pairs else Table(path, [None])
        elif use in ("train", *tags[1:]):
            path = folder / f"{stem}{'.tsv' if is_pairs else '.txt'}"
            what = PAIR if is_pairs else "one text a line"
            raise LaftError(f"{path}: missing: {what}{others_of_its_name(path)}")
    read = {table.path for table in files.values()}
    for path in sorted(set(folder.iterdir()) - read):
        if path.name.startswith("mono."):
            raise LaftError(f"{path}: not read: a language's text is mono.<tag> with .txt, "
                            f"{', '.join(FORMATS)}, plain, .gz or .xz; give it that name, or take "
                            "it away")  # fmt: skip
        if path.name.startswith(("train.", "valid.")):
            print(f"own: {path.name}: not read; pairs are in train and valid with "
                  f"{', '.join(FORMATS)}, or .gz or .xz")  # fmt: skip
    for table in files.values():
        if table.remark:
            print(f"own: {table.path.name}: {table.remark}")
    return files


def read_pairs(table: Table) -> list[str]:
    """The pairs of a file as lines; prints which lines are left out, as a side is empty."""
    pairs, empty = [], []
    for number, row in table.rows():
        sides = [squeeze(side) for side in row]
        if all(sides):
            pairs.append("\t".join(sides))
        else:
            empty.append(number)
    report_left_out(table.path, "with an empty side", empty)
    if not pairs:
        raise LaftError(f"{table.path}: empty: {PAIR}")
    return pairs


def read_sentences(table: Table) -> list[str]:
    """The texts of a file; prints which lines are left out, as they are blank."""
    rows = [(number, squeeze(text)) for number, (text,) in table.rows()]
    report_left_out(table.path, "without text", [number for number, text in rows if not text])
    return [text for _, text in rows if text]


def report_left_out(path: Path, kind: str, numbers: list[int]) -> None:
    """Print how many lines were left out, and the numbers of the first ones."""
    if numbers:
        some = ", ".join(map(str, numbers[:3])) + (", ..." if len(numbers) > 3 else "")
        print(f"own: {path.name}: {len(numbers):,} lines {kind} left out: {some}")


def hold_out(lines: list[str], most: int, path: Path) -> tuple[list[str], list[str]]:
    """All but the last twentieth, and that, `most` lines at most."""
    if len(lines) < LEAST:
        raise LaftError(f"{path}: {len(lines)} lines; at least {LEAST} are needed, of which the "
                        "last twentieth is for validation")  # fmt: skip
    count = min(len(lines) // LEAST, most)
    return lines[:-count], lines[-count:]


def check_tags(tags: list[str], backbone: Path, new_langs: list[str]) -> None:
    """Check that the backbone knows every language, or that it is a new one."""
    known, where = known_languages(backbone)
    unknown = [tag for tag in tags if tag not in [*known, *new_langs]]
    if unknown:
        raise LaftError(
            f"{', '.join(unknown)}: not among {', '.join(known)} of {where}; use these in --langs "
            "and mono.<tag>.txt, or name the new ones by --new-langs "
            f"{','.join([*new_langs, *unknown])} (the recipe's setting new_langs)"
        )


def share_in_bytes(model: Any, texts: list[str], tag: str, path: Path) -> str:
    """A warning where the backbone's sentencepiece model writes much of the texts in bytes.

    Raises:
        LaftError: most of them.
    """
    ids = [number for text in texts for number in model.encode(text)]
    foreign = sum(model.is_byte(number) or number == model.unk_id() for number in ids)
    return check_coverage(foreign, len(ids), tag, path)


def write_splits(files: dict[str, Table], tags: list[str], model: Any, work: Path) -> None:
    """Write all data into the work folder, and print how much there is of each."""
    pairs = read_pairs(files["train"])
    if "valid" in files:
        train, valid = pairs, read_pairs(files["valid"])
    else:
        train, valid = hold_out(pairs, MAX_PAIRS, files["train"].path)
    write_lines(work / "train.tsv", train)
    write_lines(work / "valid.tsv", valid)
    print(f"own: {tags[0]}: {len(train):,} pairs, {len(valid):,} more for validation")
    texts = [side for pair in pairs[:LOOKED_AT] for side in pair.split("\t")]
    warnings = [share_in_bytes(model, texts, tags[0], files["train"].path)]
    for tag in tags:
        table = files.get(tag, files["train"])  # the first language: else the pairs' sources
        path = table.path
        lines = read_sentences(table) if tag in files else [p.split("\t")[0] for p in pairs]
        train, valid = hold_out(lines, MAX_SENTENCES, path)
        warnings.append(few_texts(path, tag, len(train)))
        if tag in files:
            warnings.append(share_in_bytes(model, train[:LOOKED_AT], tag, path))
        write_lines(work / f"mono.{tag}.train", train)
        write_lines(work / f"mono.{tag}.valid", valid)
        print(f"own: {tag}: {len(train):,} texts, {len(valid):,} more for validation, of "
              f"{path.name}")  # fmt: skip
    for warning in filter(None, warnings):
        print(f"own: warning: {warning}")


def prepare(options: argparse.Namespace) -> None:
    """Make RAW, of all files or not at all."""
    check_exists(options.folder)
    new_langs = new_languages(options.new_langs, options.backbone)
    options.langs = split_tags(",".join(options.langs), "--langs")
    check_tags(options.langs, options.backbone, new_langs)
    names = [options.source_column, options.target_column]
    files = gather(options.folder, options.langs, names)
    model = load_model(options.backbone / SENTENCEPIECE)
    work = options.raw.with_name("raw.partial")
    shutil.rmtree(work, ignore_errors=True)
    try:
        write_splits(files, options.langs, model, work)
        write_lines(work / NEW_LANGS_FILE, new_langs)  # read back by the recipe
        shutil.rmtree(options.raw, ignore_errors=True)
        work.replace(options.raw)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = command_parser("python -m preprocess.own", str(__doc__))
    top.add_argument("--folder", type=Path, required=True, help="the user's files")
    top.add_argument("--backbone", type=Path, required=True, help="its folder")
    top.add_argument("--langs", nargs="+", required=True, help="tags, the pairs' language first")
    top.add_argument("--new-langs", default="", help="tags that the backbone does not know")
    for side in ("source", "target"):
        top.add_argument(f"--{side}-column", metavar="NAME",
                         help=f"the pairs' column of that name (default: {side})")  # fmt: skip
    top.add_argument("--raw", type=Path, required=True, help="folder to write")
    return top


if __name__ == "__main__":
    arguments = parser().parse_args()
    sys.exit(run_command("own", lambda: prepare(arguments)))
