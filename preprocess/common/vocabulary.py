"""A backbone's sentencepiece model, dictionary and languages, checked against each other."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from text_files import DataError, read_lines

# mBART-cc25's languages, in its order: a backbone's without langs.txt.
CC25 = (
    "ar_AR,cs_CZ,de_DE,en_XX,es_XX,et_EE,fi_FI,fr_XX,gu_IN,hi_IN,it_IT,ja_XX,kk_KZ,"
    "ko_KR,lt_LT,lv_LV,my_MM,ne_NP,nl_XX,ro_RO,ru_RU,si_LK,tr_TR,vi_VN,zh_CN"
).split(",")


@dataclass(frozen=True)
class Vocabulary:
    """A sentencepiece model that fits a dictionary, and their files."""

    model: Any
    model_path: Path
    dictionary: Path
    langs: Path | None


def load_vocabulary(options: argparse.Namespace) -> Vocabulary:
    """Load model and dictionary; refuse a pair of which ids would not agree."""
    import sentencepiece

    folder: Path | None = options.backbone
    if folder is not None and not folder.is_dir():
        raise DataError(f"{folder}: no such folder (--backbone)")
    path: Path | None = options.spm or (folder and folder / "sentence.bpe.model")
    dictionary: Path | None = options.dict or (folder and folder / "dict.txt")
    if path is None or dictionary is None:
        raise DataError("name --backbone, or both --spm and --dict")
    langs: Path = options.langs or dictionary.with_name("langs.txt")
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: not a sentencepiece model") from error
    check_dictionary(model, path, dictionary)
    if options.langs and not langs.is_file():
        raise DataError(f"{langs}: no such file")
    return Vocabulary(model, path, dictionary, langs if langs.is_file() else None)


def check_dictionary(model: Any, path: Path, dictionary: Path) -> None:
    """The dictionary holds the model's pieces from id 3 on, in order: fairseq id = piece id + 1."""
    words = [line.rsplit(" ", 1)[0] for line in read_lines(dictionary)]
    pieces = [model.id_to_piece(i) for i in range(3, model.get_piece_size())]
    for number, (word, piece) in enumerate(zip(words, pieces, strict=False), 1):
        if word != piece:
            raise DataError(
                f"{dictionary} does not fit {path}: line {number} is {word!r}, the piece {piece!r}"
            )
    if len(words) != len(pieces):
        raise DataError(
            f"{dictionary} does not fit {path}: {len(words)} lines for {len(pieces)} pieces"
        )


def check_language(lang: str, langs: Path | None, new: list[str]) -> None:
    """The backbone knows the language, or it is a new one; without a list, say so."""
    if lang in new:
        return
    if langs is None:
        print("binarize: no langs.txt beside the dictionary; mBART-cc25's languages apply")
    known, where = known_languages(langs)
    if lang not in known:
        own = "" if langs is not None else "write the backbone's own into langs.txt, or "
        raise DataError(
            f"{lang} is not a language of {where}: {', '.join(known)}; {own}one that the backbone "
            "never saw is named by --new-langs"
        )


def known_languages(langs: Path | None) -> tuple[list[str], str]:
    """The backbone's tags, and who says so; mBART-cc25's where no file does."""
    if langs is None or not langs.is_file():
        return CC25, "mBART-cc25 (the backbone has no langs.txt)"
    return [line for line in read_lines(langs) if line], str(langs)
