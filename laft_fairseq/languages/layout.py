"""Where a language's tag stands: mBART-cc25 writes ``X </s> [l]``, others ``[l] X </s>``.

In both the decoder's input is a target with its last token moved to the front.
"""

from enum import StrEnum
from pathlib import Path

import torch
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.tags import words_of
from laft_fairseq.languages.vocabulary_files import LAYOUT_FILE


class TagLayout(StrEnum):
    """Where the tag stands in a text X of language l, source and target alike.

    ==========  ===============  ================  ===========================
    layout      text             decoder input     used by
    ==========  ===============  ================  ===========================
    ``suffix``  ``X </s> [l]``   ``[l] X </s>``    mBART-cc25
    ``prefix``  ``[l] X </s>``   ``</s> [l] X``    mBART-50, M2M-100, NLLB-200
    ==========  ===============  ================  ===========================
    """

    SUFFIX = "suffix"
    PREFIX = "prefix"

    @property
    def lead(self) -> int:
        """Tokens that stand before the tag in the decoder's input."""
        return int(self is TagLayout.PREFIX)

    def tagged(self, text: Tensor, tag_id: int) -> Tensor:
        """(n,) ``X </s>`` -> (n + 1,) with its tag."""
        tag = text.new_tensor([tag_id])
        return torch.cat([text, tag] if self is TagLayout.SUFFIX else [tag, text])


def tag_layout(folder: str | Path, option: str | None = None) -> TagLayout:
    """Return the tag layout of a folder: ``--tag-layout``, else its file, else suffix.

    Raises:
        LaftError: a word that names no layout.
    """
    path = Path(folder) / LAYOUT_FILE
    where, word = "--tag-layout", option
    if not word and path.is_file():
        where, word = str(path), " ".join(words_of(path))
    elif not word:
        return TagLayout.SUFFIX
    try:
        return TagLayout(str(word))
    except ValueError:
        raise LaftError(
            f"{where}: {str(word)!r} is no tag layout; it is suffix (X </s> [l], mBART-cc25) or "
            "prefix ([l] X </s>, mBART-50)"
        ) from None
