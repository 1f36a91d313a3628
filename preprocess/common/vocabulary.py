"""A backbone's sentencepiece model, dictionary and languages; whether they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.sentencepiece_dictionary import load as load_model
from laft_fairseq.languages.tags import CC25, read_tags, split_tags
from laft_fairseq.languages.vocabulary_files import DICTIONARY, LANGS_FILE, SENTENCEPIECE
from preprocess.common.files import read_lines


def load_checked_model(backbone: Path) -> Any:
    """The sentencepiece model of a backbone's folder, of which `dict.txt` holds the subwords.

    Raises:
        LaftError: a file is missing, or `dict.txt` is not the model's subwords from id 3 on.
    """
    path, dictionary = backbone / SENTENCEPIECE, backbone / DICTIONARY
    model = load_model(path)
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
    return model


def known_languages(backbone: Path) -> tuple[list[str], str]:
    """The backbone's tags and the file that lists them; mBART-cc25's where there is none."""
    path = backbone / LANGS_FILE
    if not path.is_file():
        return CC25, "mBART-cc25 (the backbone has no langs.txt)"
    return read_tags(path), str(path)


def new_languages(option: str | None, backbone: Path) -> list[str]:
    """The tags of `--new-langs`, none of which the backbone may know."""
    given = split_tags(option, "--new-langs")
    known, where = known_languages(backbone)
    for tag in given:
        if tag in known:
            raise LaftError(f"--new-langs: {tag} is a language of {where}; leave it out")
    return given
