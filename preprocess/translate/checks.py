"""What `translate_test.sh` checks before it translates anything."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from text_files import DataError, one_line, read_lines
from vocabulary import check_language, load_vocabulary

TAG = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}")


def count_lines(option: str, path: Path, lang: str) -> int:
    """The number of texts in a file.

    Raises:
        DataError: it is missing, unreadable, or holds no text.
    """
    try:
        count = blank = 0
        for line in read_lines(path):
            count += 1
            blank += not line.strip()
    except DataError as error:
        raise DataError(f"{error} (--{option}, {lang})") from error
    if count == blank:
        raise DataError(f"{path}: empty (--{option}, {lang}): it must hold one text a line")
    return count


def check_texts(options: argparse.Namespace) -> None:
    """Sources, references and English references have a line for each other's.

    Raises:
        DataError: they have not.
    """
    sources = count_lines("src", options.src, options.lang)
    for name, lang in (("ref", options.lang), ("english-ref", "en_XX")):
        path: Path | None = getattr(options, name.replace("-", "_"))
        if path is None:
            continue
        lines = count_lines(name, path, lang)
        if lines != sources:
            raise DataError(
                f"{options.src} has {sources:,} lines ({options.lang}), {path} {lines:,} ({lang}): "
                f"line i of --{name} belongs to line i of --src"
            )


def check_backbone(options: argparse.Namespace) -> None:
    """The backbone's files are there, fit each other, and know English and the language.

    Raises:
        DataError: they do not; without `langs.txt`, the language is not written as a tag.
    """
    options.spm = options.dict = options.langs = None
    langs = load_vocabulary(options).langs
    if langs is not None:
        for lang in ("en_XX", options.lang):
            check_language(lang, langs, options.new_langs.split(","))
    elif not TAG.fullmatch(options.lang):
        raise DataError(f"--lang {options.lang}: name it by its tag, such as fr_XX or zh_CN")


def parser() -> argparse.ArgumentParser:
    """What the script hands over of its own options."""
    top = argparse.ArgumentParser(prog="translate_test.sh", description=__doc__)
    for name in ("src", "ref", "backbone"):
        top.add_argument(f"--{name}", type=Path, required=True)
    top.add_argument("--english-ref", type=Path)
    top.add_argument("--lang", required=True)
    top.add_argument("--new-langs", default="")
    return top


def main() -> int:
    """Check; an error is one line."""
    options = parser().parse_args()
    try:
        check_backbone(options)
        check_texts(options)
    except (DataError, OSError) as error:
        print(f"translate_test: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
