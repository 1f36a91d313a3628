"""Languages that the backbone never saw (``--new-langs``): their list, their dictionary entries.

Their tags follow ``<mask>``, which ends the backbone's dictionary, so that no id moves and the
backbone's embedding matrix stays as it is; ``new_tag_embeddings.py`` holds those of the new tags.
The text of such a language is written with the backbone's own subwords: a script of which the
sentencepiece model holds no characters comes out as ``<unk>`` and cannot be learned this way.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path

from fairseq.data import Dictionary

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.tags import TAG, split_tags, words_of
from laft_fairseq.languages.vocabulary_files import NEW_LANGS_FILE


def read_new_langs(data: str | Path, option: str | None, tags: Sequence[str]) -> list[str]:
    """Return the new languages in order: ``--new-langs``, else ``data/new-langs.txt``, else none.

    Args:
        data: data-bin directory.
        option: ``--new-langs``, comma-separated.
        tags: the backbone's languages.

    Raises:
        LaftError: listed twice, among the backbone's, or no tag such as eo_XX.
    """
    path = Path(data) / NEW_LANGS_FILE
    where = "--new-langs"
    if not option and path.is_file():
        where, option = str(path), ",".join(words_of(path))
    new = split_tags(option)
    for tag in new:
        if not re.fullmatch(TAG, tag):  # it names folders and parameters
            raise LaftError(f"{where}: {tag!r} is no language tag such as eo_XX")
        if tag in tags:
            raise LaftError(
                f"{where}: {tag} is among the backbone's languages already "
                f"({', '.join(tags)}); leave it out"
            )
    return new


def backbone_part(dictionary: Dictionary) -> Dictionary:
    """Return the entries that the backbone has an embedding for: all up to ``<mask>``."""
    size = dictionary.index(MASK) + 1
    if size == len(dictionary):
        return dictionary
    part = copy.copy(dictionary)
    part.symbols = dictionary.symbols[:size]
    return part
