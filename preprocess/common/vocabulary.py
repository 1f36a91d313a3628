"""A backbone's sentencepiece model, dictionary and languages; whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.sentencepiece_dictionary import load as load_model
from laft_fairseq.languages.tags import CC25, words_of
from preprocess.common.files import read_lines


@dataclass(frozen=True)
class Vocabulary:
    """A sentencepiece model that fits a dictionary, and their files."""

    model: Any
    model_path: Path
    dictionary: Path
    langs: Path | None


def load_vocabulary(
    folder: Path | None, model: Path | None = None, dictionary: Path | None = None,
    langs: Path | None = None,
) -> Vocabulary:  # fmt: skip
    """Load model and dictionary.

    Args:
        folder: of `sentence.bpe.model`, `dict.txt` and `langs.txt`, of which the last may be
            missing; the other arguments name other files.

    Raises:
        LaftError: a file is missing, or the dictionary is not the model's.
    """
    model = model or (folder and folder / "sentence.bpe.model")
    dictionary = dictionary or (folder and folder / "dict.txt")
    if model is None or dictionary is None:
        raise LaftError("name --backbone, or both --spm and --dict")
    if langs is None:
        beside = dictionary.with_name("langs.txt")
        langs = beside if beside.is_file() else None
    elif not langs.is_file():
        raise LaftError(f"{langs}: no such file")
    processor = load_model(model)
    check_dictionary(processor, model, dictionary)
    return Vocabulary(processor, model, dictionary, langs)


def check_dictionary(model: Any, path: Path, dictionary: Path) -> None:
    """Refuse a dictionary other than the model's subwords from id 3 on, in their order."""
    words = [line.rsplit(" ", 1)[0] for line in read_lines(dictionary)]
    subwords = [model.id_to_piece(i) for i in range(3, model.get_piece_size())]
    for number, (word, subword) in enumerate(zip(words, subwords, strict=False), 1):
        if word != subword:
            raise LaftError(
                f"{dictionary} does not fit {path}: line {number} is {word!r}, the model's subword "
                f"{subword!r}"
            )
    if len(words) != len(subwords):
        raise LaftError(
            f"{dictionary} does not fit {path}: {len(words)} lines for {len(subwords)} subwords"
        )


def known_languages(langs: Path | None) -> tuple[list[str], str]:
    """The backbone's tags and the file that lists them; mBART-cc25's where there is none."""
    if langs is None or not langs.is_file():
        return CC25, "mBART-cc25 (the backbone has no langs.txt)"
    return words_of(langs), str(langs)


def check_language(lang: str, langs: Path | None, new_langs: list[str]) -> None:
    """Refuse a language that is neither the backbone's nor a new one."""
    known, where = known_languages(langs)
    if lang not in [*new_langs, *known]:
        listed = "" if langs is not None else "write the backbone's languages into langs.txt, or "
        raise LaftError(
            f"{lang} is not a language of {where}: {', '.join(known)}; {listed}name one that the "
            "backbone never saw by --new-langs"
        )
