"""The dictionary of a backbone: subwords, language tags, ``<mask>``, new languages' tags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq.data import Dictionary

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.tags import CC25, split_tags, symbol, words_of
from laft_fairseq.languages.vocabulary_files import DICTIONARY, LANGS_FILE

MASK = "<mask>"


def dictionary_tags(data: str | Path, langs: str | None = None) -> list[str]:
    """Return the tags in dictionary order: ``--langs``, else ``data/langs.txt``, else cc25's 25.

    Raises:
        LaftError: a language listed twice, or a file without any.
    """
    if langs:
        return split_tags(langs)
    path = Path(data) / LANGS_FILE
    if not path.is_file():
        return list(CC25)
    tags = split_tags(",".join(words_of(path)))
    if not tags:
        raise LaftError(f"{path}: no language in it; write one tag a line, in dictionary order")
    return tags


def load_dictionary(
    data: str | Path, tags: Sequence[str], new_tags: Sequence[str] = ()
) -> Dictionary:
    """Return ``dict.txt`` followed by the tags in order, ``<mask>``, and new languages' tags.

    Raises:
        LaftError: no ``dict.txt``, one that is none, or that already holds a tag or ``<mask>``.
    """
    path = Path(data) / DICTIONARY
    if not path.is_file():
        raise LaftError(f"{path}: no dictionary; copy the backbone's dict.txt there")
    try:
        dictionary = Dictionary.load(str(path))
    except Exception as error:  # fairseq's own, of any kind, for lines that are not `piece count`
        reason = " ".join(str(error).split()).split(". ")[0][:160]
        raise LaftError(f"{path}: not a dictionary ({reason}); copy the backbone's there") from None
    for entry in [*map(symbol, tags), MASK, *map(symbol, new_tags)]:
        if entry in dictionary:
            raise LaftError(
                f"{path}: already holds {entry}; dict.txt must hold sentencepiece's subwords alone"
            )
        dictionary.add_symbol(entry)
    return dictionary
