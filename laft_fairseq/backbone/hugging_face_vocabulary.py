"""The vocabulary of a Hugging Face mBART: its subwords, its languages in order, its tag layout.

The rows of the embedding are ``<s> <pad> </s> <unk>``, sentencepiece's subwords from the fourth
on, a row a language, and ``<mask>``: subwords + 1 + languages + 1 of them. Its tokenizer, read by
transformers, tells which languages they are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laft_fairseq.backbone.hugging_face import load_transformers
from laft_fairseq.errors import LaftError, in_one_line
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.sentencepiece_dictionary import FAIRSEQ_FIRST, FIRST
from laft_fairseq.languages.tags import CC25, MBART50, TAG

SENTENCEPIECE = "sentencepiece.bpe.model"
BY_CLASS = {"MBartTokenizerFast": TagLayout.SUFFIX, "MBart50TokenizerFast": TagLayout.PREFIX}
BY_LANGUAGES = {tuple(CC25): TagLayout.SUFFIX, tuple(MBART50): TagLayout.PREFIX}


def read(
    folder: Path, config: Any, langs: Sequence[str] = (), layout: str | None = None
) -> tuple[list[str], list[str], TagLayout]:
    """Return sentencepiece's subwords by id, the languages in the order of their rows, the layout.

    Args:
        folder: the Hugging Face directory.
        config: its ``MBartConfig``.
        langs, layout: what the user says; nothing: the tokenizer says.

    Raises:
        LaftError: no sentencepiece model, another tokenizer's, or languages that cannot be told.
    """
    path = folder / SENTENCEPIECE
    subwords = sentencepiece_dictionary.read_subwords(path)
    languages = config.vocab_size - len(subwords) - 2
    tokenizer = read_tokenizer(folder, config.vocab_size, languages)
    entries = tokenizer.convert_ids_to_tokens(list(range(config.vocab_size)))
    expected = [*FAIRSEQ_FIRST, *subwords[len(FIRST) :]]
    for row, (subword, entry) in enumerate(zip(expected, entries, strict=False)):
        if subword != entry:
            raise LaftError(
                f"{path}: row {row} of the embedding would be {subword!r}, but the tokenizer has "
                f"{entry!r} there; one of them is another model's"
            )
    after = entries[len(expected) :]
    named = after[: after.index(MASK)] if MASK in after else []
    added = after[len(named) + 1 :]
    if not named or not all(re.fullmatch(TAG, tag or "") for tag in named):
        named = []
    tags = named if named and not added else list(langs)
    if tags == named and langs and list(langs) != tags:
        raise LaftError(f"--langs: {folder} has {','.join(tags)}, in this order")
    is_own = any(folder.glob("*token*.json"))  # else transformers takes mBART-cc25's languages
    continued = named and added and (is_own or tags[: len(named)] == named)
    if not tags or len(tags) != languages or continued:
        raise LaftError(
            f"{folder}: its embedding has {config.vocab_size} rows; {len(subwords)} subwords of "
            f"{SENTENCEPIECE}, <pad> and {MASK} leave {languages} for languages, "
            + (_added_rows(len(expected) + len(named) + 1, added) if is_own and continued else
               "which its tokenizer does not name; put its own tokenizer.json beside it, or name "
               f"them by --langs (entries added after {MASK} cannot be imported)")
        )  # fmt: skip
    return subwords, tags, find_layout(folder, tokenizer, tags, layout)


def _added_rows(rows: int, added: Sequence[str | None]) -> str:
    """Words on the rows after ``<mask>``, the last of ``rows``, and how they are cut off."""
    names = [entry for entry in added if entry is not None]
    shown = ", ".join(names[:5]) + ", ..." * (len(names) > 5)
    unnamed = f"{len(added) - len(names)} without a name"
    described = " and ".join(
        [*([shown] if names else []), *([unnamed] * (len(names) < len(added)))]
    )
    return (
        f"but {len(added)} rows after {MASK} were added, or pad it ({described}); "
        f"entries added after {MASK} cannot be imported: cut them off with "
        f"model.resize_token_embeddings({rows}) and save the model again"
    )


def read_tokenizer(folder: Path, rows: int, languages: int) -> Any:
    """Return the fast tokenizer of a directory; mBART-50's, if its own is of too few ``rows``.

    Raises:
        LaftError: transformers cannot make one.
    """
    transformers = load_transformers()
    try:
        with warnings.catch_warnings(action="ignore"):  # of byte fallback: it encodes nothing here
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            if len(tokenizer) < rows and languages == len(MBART50):
                tokenizer = transformers.MBart50TokenizerFast.from_pretrained(folder)
    except Exception as error:  # of transformers, tokenizers or json, of any kind
        raise LaftError(
            f"{folder}: transformers cannot read its tokenizer ({in_one_line(error)}); fetch its "
            f"files again, or leave all but config.json and {SENTENCEPIECE} out"
        ) from None
    return tokenizer


def find_layout(folder: Path, tokenizer: Any, tags: list[str], option: str | None) -> TagLayout:
    """Return where the tag stands: as the user, the tokenizer's class or the languages say.

    Raises:
        LaftError: nothing says it, or two disagree.
    """
    if option:
        return TagLayout(option)
    name = type(tokenizer).__name__
    by_class = BY_CLASS.get(name)
    if name == "NllbTokenizerFast":  # of `laft export`, for it takes any languages
        by_class = TagLayout.SUFFIX if tokenizer.legacy_behaviour else TagLayout.PREFIX
    layouts = {layout for layout in (by_class, BY_LANGUAGES.get(tuple(tags))) if layout}
    if len(layouts) != 1:
        raise LaftError(
            f"{folder}: its tokenizer ({name}) and its {len(tags)} languages tell "
            f"{' and '.join(sorted(layouts)) or 'no tag layout'}; say which by --tag-layout"
        )
    return layouts.pop()
