"""The two halves of `binarize.sh` around `fairseq-preprocess`.

`prepare` checks the input, encodes it with sentencepiece into a work folder and writes there the
options for `fairseq-preprocess`; `install` checks what came out, and moves it into place.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import new_langs
import tag_layouts
from binary_layout import Split, digest, install
from text_files import DataError, one_line, read_lines
from vocabulary import Vocabulary, check_language, load_vocabulary

SPLITS = ("train", "valid", "test")
BATCH = 10_000
EXAMPLE = """\
examples:
  preprocess/binarize.sh pairs --backbone DIR --lang en_XX --out data-bin \\
      --train en_XX.train.tsv.xz --valid en_XX.valid.tsv.xz
  preprocess/binarize.sh pairs --backbone DIR --lang fr_XX --out data-bin --test t.src t.tgt
  preprocess/binarize.sh mono --backbone DIR --lang fr_XX --out data-bin --train mono.fr_XX.txt.xz
"""


def open_sides(files: list[Path], kind: str, columns: list[int]) -> list[Iterator[str]]:
    """The text of a split, a stream of lines a side: columns of one TSV file, or whole files."""
    if len(files) == 1 and ".tsv" in files[0].suffixes:
        wanted = columns if kind == "pairs" else columns[:1]
        return [_column(files[0], number) for number in wanted]
    if len(files) != (2 if kind == "pairs" else 1):
        named = " ".join(str(file) for file in files)
        need = "one TSV file, or source and target" if kind == "pairs" else "one file"
        raise DataError(f"{kind}: a split is {need}, not {named}")
    return [read_lines(file) for file in files]


def _column(path: Path, wanted: int) -> Iterator[str]:
    """One column of a TSV file, counted from 1 as `cut` does."""
    for number, line in enumerate(read_lines(path), 1):
        row = line.split("\t")
        if len(row) < wanted:
            raise DataError(f"{path}: line {number} has {len(row)} columns, not {wanted}")
        yield row[wanted - 1]


def encode(model: Any, lines: Iterator[str], out: Path, workers: int) -> tuple[int, int]:
    """Write lines as pieces parted by spaces; return how many there are and how many are empty.

    A carriage return inside a line becomes a space, or it would end the line later on.
    """
    count = blank = 0
    with out.open("w", encoding="utf-8", newline="\n") as handle:
        while batch := [line.replace("\r", " ") for line in islice(lines, BATCH)]:
            count += len(batch)
            for pieces in model.encode(batch, out_type=str, num_threads=workers):
                blank += not pieces
                handle.write(" ".join(pieces) + "\n")
    return count, blank


def encode_split(model: Any, split: Split, files: list[Path], options: argparse.Namespace) -> None:
    """Encode one split into the work folder; refuse an empty side and sides of two lengths."""
    sides = open_sides(files, options.kind, options.columns)
    suffixes = (".src", ".tgt") if options.kind == "pairs" else ("",)
    counts: list[int] = []
    for suffix, side in zip(suffixes, sides, strict=True):
        out = options.work / "text" / f"{split.name}{suffix}"
        count, blank = encode(model, side, out, options.workers)
        if count == blank:
            raise DataError(without_text(files, len(counts), count, options))
        counts.append(count)
        split.blank += blank
    if len(set(counts)) > 1:
        said = " and ".join(f"{f} has {n} lines" for f, n in zip(files, counts, strict=True))
        raise DataError(f"{said}: source and target must have the same length")
    split.lines = counts[0]


def without_text(files: list[Path], side: int, count: int, options: argparse.Namespace) -> str:
    """What is wrong with a side of `count` lines that are all blank."""
    if count and len(files) == 1 and ".tsv" in files[0].suffixes:
        return (
            f"{files[0]}: column {options.columns[side]} is empty in line 1 and all others, "
            f"{count:,} in all ({options.lang}): fill it, or name another by --columns"
        )
    return f"{files[side]}: empty ({options.lang}): it must hold one text a line"


def prepare(options: argparse.Namespace) -> None:
    """Encode the splits that are not yet in place, and write the plan for the other half."""
    if options.kind == "pairs" and len(options.columns) < 2:
        raise DataError(f"--columns {options.columns[0]}: pairs ({options.lang}) need two columns, "
                        "source and target, such as --columns 3,4")  # fmt: skip
    given = {s: getattr(options, s) for s in SPLITS if getattr(options, s)}
    if not given:
        raise DataError("nothing to do: give --train, --valid or --test")
    vocabulary = load_vocabulary(options)
    new = new_langs.agreed(options.new_langs, vocabulary.langs, options.out)
    check_language(options.lang, vocabulary.langs, new)
    check_target(options.out, vocabulary)
    (options.work / "text").mkdir(parents=True)
    folder = options.out / options.lang
    recipe = f"{options.kind} {options.columns} {digest(vocabulary.model_path)}"
    plan: list[Split] = []
    for name, files in given.items():
        stamp = f"{recipe} {digest(vocabulary.dictionary)} {' '.join(map(digest, files))}"
        split = Split(name, options.kind, str(folder), stamp)
        if split.is_complete():
            print(f"binarize: {folder} {name} {options.kind}: up to date")
            continue
        encode_split(vocabulary.model, split, files, options)
        if options.lang in new:
            for text in sorted((options.work / "text").glob(f"{name}*")):
                print(new_langs.report_unknown(vocabulary.model, text, options.lang, text.name))
        plan.append(split)
    write_plan(options, vocabulary, plan)
    new_langs.write(new, options.out)


def check_target(out: Path, vocabulary: Vocabulary) -> None:
    """Refuse a folder that another dictionary, list of languages or tag layout has filled."""
    for theirs in (vocabulary.dictionary, vocabulary.langs):
        if theirs is None:
            continue
        ours = out / ("dict.txt" if theirs == vocabulary.dictionary else "langs.txt")
        if ours.is_file() and ours.read_bytes() != theirs.read_bytes():
            raise DataError(f"{ours} differs from {theirs}: use another --out")
    tag_layouts.check(out, tag_layouts.tag_layout(vocabulary.dictionary.parent))


def write_plan(options: argparse.Namespace, vocabulary: Vocabulary, plan: list[Split]) -> None:
    """Write `plan.json` for `install` and `options`, a line each, for `fairseq-preprocess`."""
    layout = vocabulary.dictionary.with_name(tag_layouts.NAME)
    copies = {"dict.txt": vocabulary.dictionary, "langs.txt": vocabulary.langs}
    copies |= {layout.name: layout} if layout.is_file() else {}
    options.out.mkdir(parents=True, exist_ok=True)
    for name, path in copies.items():
        if path is not None and not (options.out / name).is_file():
            partial = options.out / f"{name}.part"
            shutil.copyfile(path, partial)
            partial.replace(options.out / name)
    lines = []
    if plan:
        lines = ["--dataset-impl", "mmap", "--srcdict", str(vocabulary.dictionary)]
        lines += ["--destdir", str(options.work / "bin"), "--workers", str(options.workers)]
        pairs = ["--source-lang", "src", "--target-lang", "tgt", "--joined-dictionary"]
        lines += pairs if options.kind == "pairs" else ["--only-source"]
        for split in plan:
            lines += [f"--{split.name}pref", str(options.work / "text" / split.name)]
    (options.work / "options").write_text("".join(f"{line}\n" for line in lines))
    (options.work / "plan.json").write_text(json.dumps([vars(split) for split in plan]))


def columns(text: str) -> list[int]:
    """Parse `--columns`."""
    numbers = [int(part) for part in text.split(",")]
    if not 1 <= len(numbers) <= 2 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text}: one or two columns, counted from 1")
    return numbers


def parser() -> argparse.ArgumentParser:
    """The command line, as `binarize.sh` shows it."""
    top = argparse.ArgumentParser(
        prog="binarize.sh",
        description="Raw text -> data-bin/LANG/, with sentencepiece and fairseq-preprocess.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("kind", choices=("pairs", "mono"))
    top.add_argument(
        "--backbone", type=Path, metavar="DIR", help="folder with the three files below"
    )
    top.add_argument(
        "--spm", type=Path, metavar="FILE", help="sentencepiece model (sentence.bpe.model)"
    )
    top.add_argument("--dict", type=Path, metavar="FILE", help="fairseq dictionary (dict.txt)")
    top.add_argument("--langs", type=Path, metavar="FILE", help="languages, one a line (langs.txt)")
    top.add_argument("--lang", required=True, help="the text's language, such as fr_XX")
    top.add_argument(
        "--new-langs",
        metavar="TAGS",
        help="languages that the backbone has no tag for, kept in OUT/new-langs.txt",
    )
    top.add_argument("--out", type=Path, required=True, help="the data-bin folder")
    for split in SPLITS:
        top.add_argument(
            f"--{split}",
            type=Path,
            nargs="+",
            metavar="FILE",
            help="TSV, or SOURCE TARGET, or TEXT",
        )
    top.add_argument(
        "--columns",
        metavar="N,N",
        type=columns,
        default=[3, 4],
        help="of a TSV, from 1 (3,4); mono: the first",
    )
    top.add_argument("--workers", type=int, default=1, metavar="N", help="processes (1)")
    top.add_argument("--work", type=Path, required=True, help=argparse.SUPPRESS)
    return top


def main(arguments: list[str]) -> int:
    """Run one half; an input error is one line."""
    try:
        if arguments[:1] == ["install"]:
            install(Path(arguments[1]))
        else:
            prepare(parser().parse_args(arguments))
    except (DataError, OSError) as error:
        print(f"binarize: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
