"""The dictionary of a backbone: subwords, language tags, ``<mask>``, new languages' tags.

New languages (``--new-langs``) are those that the backbone never saw. Their tags follow ``<mask>``,
which ends the backbone's dictionary, so that no id moves and the backbone's embedding matrix stays
as it is; ``new_tag_embeddings.py`` holds those of the new tags. The text of such a language is
written with the backbone's own subwords: a script of which the sentencepiece model holds no
characters comes out as ``<unk>`` and cannot be learned this way.
"""

import copy
from collections.abc import Sequence
from pathlib import Path

from fairseq.data import Dictionary

from laft_fairseq.errors import LaftError, in_one_line
from laft_fairseq.languages.tags import CC25, read_tags, split_tags, symbol
from laft_fairseq.languages.vocabulary_files import DICTIONARY, LANGS_FILE, NEW_LANGS_FILE

MASK = "<mask>"


def dictionary_tags(data: str | Path, langs: str | None = None) -> list[str]:
    """Return the tags in dictionary order: ``--langs``, else ``data/langs.txt``, else cc25's 25.

    Raises:
        LaftError: a language listed twice, or a file without any.
    """
    if langs:
        return split_tags(langs, "--langs")
    path = Path(data) / LANGS_FILE
    if not path.is_file():
        return list(CC25)
    tags = read_tags(path)
    if not tags:
        raise LaftError(f"{path}: no language in it; write one tag a line, in dictionary order")
    return tags


def read_new_langs(data: str | Path, option: str | None, tags: Sequence[str]) -> list[str]:
    """Return the new languages in order: ``--new-langs``, else ``data/new-langs.txt``, else none.

    Raises:
        LaftError: listed twice, among the backbone's ``tags``, or no tag such as eo_XX.
    """
    path = Path(data) / NEW_LANGS_FILE
    from_file = not option and path.is_file()
    where = str(path) if from_file else "--new-langs"
    new = read_tags(path) if from_file else split_tags(option, where)
    for tag in new:
        if tag in tags:
            raise LaftError(
                f"{where}: {tag} is among the backbone's languages already "
                f"({', '.join(tags)}); leave it out"
            )
    return new


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
    except Exception as error:  # fairseq's own, of any kind, for lines that are not `subword count`
        reason = in_one_line(error).split(". ")[0]
        raise LaftError(f"{path}: not a dictionary ({reason}); copy the backbone's there") from None
    if any(entry.startswith("\ufeff") for entry in dictionary.symbols):
        raise LaftError(f"{path}: begins with a byte order mark; copy the backbone's there")
    for entry in [*map(symbol, tags), MASK, *map(symbol, new_tags)]:
        if entry in dictionary:
            raise LaftError(
                f"{path}: already holds {entry}; dict.txt must hold sentencepiece's subwords alone"
            )
        dictionary.add_symbol(entry)
    return dictionary


def backbone_part(dictionary: Dictionary) -> Dictionary:
    """Return the entries that the backbone has an embedding for: all up to ``<mask>``."""
    size = dictionary.index(MASK) + 1
    if size == len(dictionary):
        return dictionary
    part = copy.copy(dictionary)
    part.symbols = dictionary.symbols[:size]
    return part
