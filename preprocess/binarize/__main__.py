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
from laft_fairseq.languages.tags import split_tags, words_of
from laft_fairseq.languages.vocabulary_files import LAYOUT_FILE, NEW_LANGS_FILE
from preprocess.binarize.encoding import encode_split, report_unknown
from preprocess.binarize.splits import Split, install
from preprocess.common.command import column_numbers, command_parser, positive, run_command
from preprocess.common.files import digest, write_lines
from preprocess.common.vocabulary import (
    Vocabulary,
    check_language,
    known_languages,
    load_vocabulary,
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
    copies = vocabulary_files(vocabulary, options.out)
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
    options.out.mkdir(parents=True, exist_ok=True)
    for source, copy in copies.items():
        with replacing(copy) as temporary:
            shutil.copyfile(source, temporary)
    if splits:
        preprocess(options, vocabulary.dictionary, splits, work)
    for split in splits:
        install(split, work / "bin")
    if new:
        write_lines(options.out / NEW_LANGS_FILE, new)


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


def new_languages(option: str | None, langs: Path | None, out: Path) -> list[str]:
    """The new languages of a folder: those in `OUT/new-langs.txt`, to which more may be added."""
    given = split_tags(option)
    known, where = known_languages(langs)
    for tag in given:
        if tag in known:
            raise LaftError(f"--new-langs: {tag} is a language of {where}; leave it out")
    path = out / NEW_LANGS_FILE
    listed = words_of(path) if path.is_file() else []
    shared = min(len(given), len(listed))
    if given[:shared] != listed[:shared]:
        raise LaftError(
            f"{path} says {','.join(listed)}, --new-langs {','.join(given)}: keep its order and "
            "add at the end, or use another --out"
        )
    return max(given, listed, key=len)


def vocabulary_files(vocabulary: Vocabulary, out: Path) -> dict[Path, Path]:
    """The backbone's files that a data folder lacks, and where their copies go."""
    dictionary, langs = vocabulary.dictionary, vocabulary.langs
    layout = dictionary.with_name(LAYOUT_FILE)
    copies = {dictionary: out / "dict.txt", layout: out / LAYOUT_FILE}
    if langs is not None:
        copies[langs] = out / "langs.txt"
    for source, copy in copies.items():
        if source != layout and copy.is_file() and copy.read_bytes() != source.read_bytes():
            raise LaftError(f"{copy} differs from {source}: use another --out")
    if (out / "dict.txt").is_file() and tag_layout(out / LAYOUT_FILE) != tag_layout(layout):
        raise LaftError(f"{out}: its tag layout is not {tag_layout(layout)}: use another --out")
    return {source: copy for source, copy in copies.items()
            if source.is_file() and not copy.is_file()}  # fmt: skip


def tag_layout(path: Path) -> str:
    """Where the language tag stands in a text; after it where no file says so."""
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
