"""What `translate_test.sh` checks before it translates anything."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from laft_fairseq.errors import LaftError
from preprocess.common.command import run_command
from preprocess.common.files import read_lines
from preprocess.common.vocabulary import check_language, load_vocabulary


def count_lines(option: str, path: Path, lang: str) -> int:
    """The number of lines of a file.

    Raises:
        LaftError: it is missing, unreadable, or holds no text.
    """
    try:
        lines = list(read_lines(path))
    except LaftError as error:
        raise LaftError(f"{error} (--{option}, {lang})") from error
    if not any(map(str.strip, lines)):
        raise LaftError(f"{path}: empty (--{option}, {lang}): it must hold one text a line")
    return len(lines)


def check(options: argparse.Namespace) -> None:
    """Check the backbone, the language, and that sources and references have as many lines.

    Raises:
        LaftError: the backbone's files do not fit each other or lack the language, or line i of a
            file does not belong to line i of another.
    """
    langs = load_vocabulary(options.backbone).langs
    for lang in ("en_XX", options.lang):
        check_language(lang, langs, options.new_langs.split(","))
    sources = count_lines("src", options.src, options.lang)
    references = {"ref": (options.ref, options.lang), "english-ref": (options.english_ref, "en_XX")}
    for name, (path, lang) in references.items():
        if path is not None and (lines := count_lines(name, path, lang)) != sources:
            raise LaftError(
                f"{options.src} has {sources:,} lines ({options.lang}), {path} {lines:,} ({lang}): "
                f"line i of --{name} belongs to line i of --src"
            )


if __name__ == "__main__":
    top = argparse.ArgumentParser(prog="translate_test.sh")
    for name in ("src", "ref", "backbone"):
        top.add_argument(f"--{name}", type=Path, required=True)
    top.add_argument("--english-ref", type=Path)
    top.add_argument("--lang", required=True)
    top.add_argument("--new-langs", default="")
    arguments = top.parse_args()
    sys.exit(run_command("translate_test", lambda: check(arguments)))
