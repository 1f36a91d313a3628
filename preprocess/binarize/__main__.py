"""What `binarize.sh` runs: raw text of one language to `data-bin`.

The input is checked, encoded with sentencepiece, and binarised by `fairseq-preprocess`; what comes
out is checked and moved into place.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from laft_fairseq.errors import LaftError
from laft_fairseq.files import locked, replacing
from laft_fairseq.languages.tags import check_tag, read_tags, words_of
from laft_fairseq.languages.vocabulary_files import (
    DICTIONARY,
    LANGS_FILE,
    LAYOUT_FILE,
    NEW_LANGS_FILE,
    SENTENCEPIECE,
)
from preprocess.binarize.encoding import encode_split, report_coverage, tables_of
from preprocess.binarize.splits import Split, install
from preprocess.common.command import column_numbers, command_parser, positive, run_command
from preprocess.common.files import digest, write_lines
from preprocess.common.formats import few_texts
from preprocess.common.vocabulary import known_languages, load_checked_model, new_languages

SPLITS = ("train", "valid", "test")
EXAMPLE = """\
examples:
  preprocess/binarize.sh pairs --backbone DIR --lang en_XX --out data-bin \\
      --train en_XX.train.tsv.xz --valid en_XX.valid.tsv.xz
  preprocess/binarize.sh pairs --backbone DIR --lang fr_XX --out data-bin --test t.src t.tgt
  preprocess/binarize.sh mono --backbone DIR --lang fr_XX --out data-bin --train mono.fr_XX.txt.xz
"""


def binarize(options: argparse.Namespace, work: Path) -> None:
    """Encode the splits that are not up to date, binarise them and put them in place.

    Raises:
        LaftError: a file or an option cannot be used; nothing is written then.
    """
    if options.kind == "pairs" and len(options.columns) != 2:
        numbers = ",".join(map(str, options.columns))
        raise LaftError(f"--columns {numbers}: pairs ({options.lang}) need two columns, "
                        "source and target, such as --columns 3,4")  # fmt: skip
    files = {name: getattr(options, name) for name in SPLITS if getattr(options, name)}
    if not files:
        raise LaftError("nothing to do: give --train, --valid or --test")
    check_tag(options.lang, "--lang")  # it names a folder
    model = load_checked_model(options.backbone)
    new = all_new_languages(options.new_langs, options.backbone, options.out)
    known, where = known_languages(options.backbone)
    if options.lang not in [*known, *new]:
        raise LaftError(f"{options.lang} is not a language of {where}: {', '.join(known)}; one "
                        "that the backbone never saw is named by --new-langs")  # fmt: skip
    copies = missing_files(options.backbone, options.out)
    recipe = f"{options.kind} {options.columns} {digest(options.backbone / SENTENCEPIECE)}"
    recipe += f" {digest(options.backbone / DICTIONARY)} "
    recipe += "".join(f"{name} " for name in (options.source_column, options.target_column) if name)
    splits: list[Split] = []
    warnings: list[str] = []
    for name, paths in files.items():
        stamp = recipe + " ".join(map(digest, paths))
        tables = tables_of(paths, options)
        split = Split(name, options.kind, options.out / options.lang, stamp)
        if split.is_complete():
            print(f"binarize: {split.folder} {name} {options.kind}: up to date")
            continue
        for table in tables:
            if table.remark:
                print(f"binarize: {table.path}: {table.remark}")
        encode_split(model, split, tables, options, work)
        for side, suffix in enumerate(split.suffixes):
            text, file = work / f"{name}{suffix}", paths[min(side, len(paths) - 1)]
            warnings.append(report_coverage(model, text, file, options.lang, options.lang in new))
        if name == "train" and options.kind == "mono":
            warnings.append(few_texts(paths[0], options.lang, split.lines - split.empty))
        splits.append(split)
    with contextlib.ExitStack() as held:
        for split in splits:
            where = f"{split.folder} {split.name} {split.kind}"
            held.enter_context(locked(split.lock_path, where))
        options.out.mkdir(parents=True, exist_ok=True)
        for name in copies:
            with replacing(options.out / name) as temporary:
                shutil.copyfile(options.backbone / name, temporary)
        if splits:
            preprocess(options, splits, work)
        for split in splits:
            install(split, work / "bin")
    if new:
        write_new_languages(options.new_langs, options.backbone, options.out)
    for warning in filter(None, warnings):
        print(f"binarize: warning: {warning}", file=sys.stderr)


def preprocess(options: argparse.Namespace, splits: list[Split], work: Path) -> None:
    """Run `fairseq-preprocess` on encoded splits; it writes into `work / "bin"`."""
    command = ["fairseq-preprocess", "--dataset-impl", "mmap",
               "--srcdict", str(options.backbone / DICTIONARY),
               "--destdir", str(work / "bin"), "--workers", str(options.workers)]  # fmt: skip
    pairs = ["--source-lang", "src", "--target-lang", "tgt", "--joined-dictionary"]
    command += pairs if options.kind == "pairs" else ["--only-source"]
    for split in splits:
        command += [f"--{split.name}pref", str(work / split.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = (done.stdout + done.stderr).strip() or "without a message"
        raise LaftError(f"fairseq-preprocess failed: {message.splitlines()[-1]}")


def all_new_languages(option: str | None, backbone: Path, out: Path) -> list[str]:
    """The new languages of a folder: those in `OUT/new-langs.txt`, and after them others given."""
    given = new_languages(option, backbone)
    path = out / NEW_LANGS_FILE
    listed = read_tags(path) if path.is_file() else []
    return [*listed, *(tag for tag in given if tag not in listed)]


def write_new_languages(option: str | None, backbone: Path, out: Path) -> None:
    """Write the list of new languages, to which another run may have added meanwhile."""
    folder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        write_lines(out / NEW_LANGS_FILE, all_new_languages(option, backbone, out))
    finally:
        os.close(folder)


def missing_files(backbone: Path, out: Path) -> list[str]:
    """The names of the backbone's files that a data folder is to have and lacks."""
    layouts = [tag_layout(folder) for folder in (backbone, out)]
    for name in (DICTIONARY, LANGS_FILE):
        ours, theirs = out / name, backbone / name
        if ours.is_file() and theirs.is_file() and ours.read_bytes() != theirs.read_bytes():
            raise LaftError(f"{ours} differs from {theirs}: use another --out")
    if (out / DICTIONARY).is_file() and layouts[0] != layouts[1]:
        raise LaftError(f"{out}: its tag layout is not {layouts[0]}: use another --out")
    return [name for name in (DICTIONARY, LANGS_FILE, LAYOUT_FILE)
            if (backbone / name).is_file() and not (out / name).is_file()]  # fmt: skip


def tag_layout(folder: Path) -> str:
    """Where the language tag stands in the texts of a folder: after them if no file says so."""
    path = folder / LAYOUT_FILE
    return " ".join(words_of(path)) if path.is_file() else "suffix"


def parser() -> argparse.ArgumentParser:
    """The command line, as `binarize.sh` shows it."""
    top = command_parser(
        "binarize.sh",
        "Raw text -> data-bin/LANG/, with sentencepiece and fairseq-preprocess.",
        EXAMPLE,
    )
    add = top.add_argument
    add("kind", choices=("pairs", "mono"))
    add("--backbone", type=Path, required=True, metavar="DIR",
        help="folder of sentence.bpe.model, dict.txt (langs.txt, tag-layout.txt)")  # fmt: skip
    add("--lang", required=True, help="the text's language, such as fr_XX")
    add("--new-langs", metavar="TAGS",
        help="languages that the backbone has no tag for, kept in OUT/new-langs.txt")  # fmt: skip
    add("--out", type=Path, required=True, help="the data-bin folder")
    for split in SPLITS:
        add(f"--{split}", type=Path, nargs="+", metavar="FILE",
            help="a table (.tsv, .csv, .jsonl, .json, .parquet, or a folder that `datasets` has "
            "saved), or SOURCE TARGET, or TEXT")  # fmt: skip
    for side in ("source", "target"):
        add(f"--{side}-column", metavar="NAME",
            help=f"of a table with names (default: {side}; mono: text)")  # fmt: skip
    add("--columns", metavar="N,N", type=column_numbers, default=[3, 4],
        help="of a TSV, from 1 (3,4); mono: the first")  # fmt: skip
    add("--workers", type=positive, default=1, metavar="N", help="processes (1)")
    return top


def main(options: argparse.Namespace) -> None:
    """Binarise in a temporary folder."""
    with tempfile.TemporaryDirectory() as work:
        binarize(options, Path(work))


if __name__ == "__main__":
    arguments = parser().parse_args()
    sys.exit(run_command("binarize", lambda: main(arguments)))
