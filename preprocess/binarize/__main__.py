"""What `binarize.sh` runs: raw text of one language to `data-bin`.

The input is checked, encoded with sentencepiece, and binarised by `fairseq-preprocess`; what comes
out is checked and moved into place.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from laft_fairseq.errors import LaftError
from laft_fairseq.files import replacing
from preprocess.binarize.encoding import encode_split
from preprocess.binarize.new_languages import new_languages, report_unknown, write_new_languages
from preprocess.binarize.splits import Split, install
from preprocess.common.command import column_numbers, command_parser, positive, run_command
from preprocess.common.files import digest
from preprocess.common.vocabulary import (
    TAG_LAYOUT,
    Vocabulary,
    check_language,
    load_vocabulary,
    tag_layout,
)

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
    vocabulary = load_vocabulary(options.backbone, options.spm, options.dict, options.langs)
    new = new_languages(options.new_langs, vocabulary.langs, options.out)
    if vocabulary.langs is None and options.lang not in new:
        print("binarize: no langs.txt beside the dictionary; mBART-cc25's languages apply")
    check_language(options.lang, vocabulary.langs, new)
    check_target(options.out, vocabulary)
    recipe = f"{options.kind} {options.columns} {digest(vocabulary.model_path)}"
    recipe += f" {digest(vocabulary.dictionary)} "
    splits: list[Split] = []
    for name, paths in files.items():
        stamp = recipe + " ".join(map(digest, paths))
        split = Split(name, options.kind, options.out / options.lang, stamp)
        if split.is_complete():
            print(f"binarize: {split.folder} {name} {options.kind}: up to date")
            continue
        encode_split(vocabulary.model, split, paths, options, work)
        if options.lang in new:
            for text in sorted(work.glob(f"{name}*")):
                print(report_unknown(vocabulary.model, text, options.lang))
        splits.append(split)
    copy_vocabulary(vocabulary, options.out)
    if splits:
        preprocess(options, vocabulary.dictionary, splits, work)
    for split in splits:
        install(split, work / "bin")
    write_new_languages(new, options.out)


def preprocess(
    options: argparse.Namespace, dictionary: Path, splits: list[Split], work: Path
) -> None:
    """Run `fairseq-preprocess` on encoded splits; it writes into `work / "bin"`."""
    command = ["fairseq-preprocess", "--dataset-impl", "mmap", "--srcdict", str(dictionary),
               "--destdir", str(work / "bin"), "--workers", str(options.workers)]  # fmt: skip
    pairs = ["--source-lang", "src", "--target-lang", "tgt", "--joined-dictionary"]
    command += pairs if options.kind == "pairs" else ["--only-source"]
    for split in splits:
        command += [f"--{split.name}pref", str(work / split.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = (done.stdout + done.stderr).strip() or "without a message"
        raise LaftError(f"fairseq-preprocess failed: {message.splitlines()[-1]}")


def vocabulary_files(vocabulary: Vocabulary) -> dict[str, Path]:
    """What a data folder has of the backbone's: the files by their names there."""
    files = {"dict.txt": vocabulary.dictionary, "langs.txt": vocabulary.langs,
             TAG_LAYOUT: vocabulary.dictionary.with_name(TAG_LAYOUT)}  # fmt: skip
    return {name: path for name, path in files.items() if path is not None and path.is_file()}


def check_target(out: Path, vocabulary: Vocabulary) -> None:
    """Refuse a folder that another dictionary, list of languages or tag layout has filled."""
    for name, path in vocabulary_files(vocabulary).items():
        ours = out / name
        if name != TAG_LAYOUT and ours.is_file() and ours.read_bytes() != path.read_bytes():
            raise LaftError(f"{ours} differs from {path}: use another --out")
    wanted = tag_layout(vocabulary.dictionary.parent)
    if (out / "dict.txt").is_file() and tag_layout(out) != wanted:
        raise LaftError(f"{out}: its tag layout is not {wanted}: use another --out")


def copy_vocabulary(vocabulary: Vocabulary, out: Path) -> None:
    """Copy the backbone's files into a data folder that lacks them."""
    out.mkdir(parents=True, exist_ok=True)
    for name, path in vocabulary_files(vocabulary).items():
        if not (out / name).is_file():
            with replacing(out / name) as temporary:
                shutil.copyfile(path, temporary)


def parser() -> argparse.ArgumentParser:
    """The command line, as `binarize.sh` shows it."""
    top = command_parser(
        "binarize.sh",
        "Raw text -> data-bin/LANG/, with sentencepiece and fairseq-preprocess.",
        EXAMPLE,
    )
    add = top.add_argument
    add("kind", choices=("pairs", "mono"))
    add("--backbone", type=Path, metavar="DIR", help="folder with the three files below")
    add("--spm", type=Path, metavar="FILE", help="sentencepiece model (sentence.bpe.model)")
    add("--dict", type=Path, metavar="FILE", help="fairseq dictionary (dict.txt)")
    add("--langs", type=Path, metavar="FILE", help="languages, one a line (langs.txt)")
    add("--lang", required=True, help="the text's language, such as fr_XX")
    add("--new-langs", metavar="TAGS",
        help="languages that the backbone has no tag for, kept in OUT/new-langs.txt")  # fmt: skip
    add("--out", type=Path, required=True, help="the data-bin folder")
    for split in SPLITS:
        add(f"--{split}", type=Path, nargs="+", metavar="FILE",
            help="TSV, or SOURCE TARGET, or TEXT")  # fmt: skip
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
