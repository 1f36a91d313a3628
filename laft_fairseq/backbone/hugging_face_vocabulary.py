"""The vocabulary of a Hugging Face mBART: its pieces, its languages in order, its tag layout.

The rows of the embedding are ``<s> <pad> </s> <unk>``, the sentencepiece pieces from the fourth
on, a row a language, and ``<mask>``: pieces + 1 + languages + 1 of them. Which languages they are
is taken from where a tokenizer file numbers its entries; else 25 are mBART-cc25's and 52
mBART-50's; else a tokenizer file must list as many.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laft_fairseq.backbone.hugging_face import read_json, refuse_pointer
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.tags import CC25, MBART50

MODEL = "sentencepiece.bpe.model"
TOKENIZER, TOKENIZER_CONFIG, SPECIALS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
TAG = re.compile(r"[a-z]{2,3}_[A-Za-z0-9]{2,4}")
KNOWN = {"mBART-cc25": (CC25, TagLayout.SUFFIX), "mBART-50": (MBART50, TagLayout.PREFIX)}
CLASSES = {"MBartTokenizer": TagLayout.SUFFIX, "MBart50Tokenizer": TagLayout.PREFIX}


@dataclass(frozen=True)
class Vocabulary:
    """Sentencepiece's ``pieces`` by id, the ``tags`` in the order of their rows, the layout."""

    pieces: list[str]
    tags: list[str]
    layout: TagLayout


def read(
    folder: Path,
    rows: int,
    class_in_config: str | None = None,
    langs: Sequence[str] = (),
    layout: str | None = None,
) -> Vocabulary:
    """Read and check the vocabulary of a directory against the embedding's ``rows``.

    Args:
        folder: the Hugging Face directory.
        rows: rows of the embedding.
        class_in_config: ``tokenizer_class`` of config.json, if it says.
        langs, layout: what the user says; nothing: the directory says.

    Raises:
        LaftError: no sentencepiece model, or numbers that do not add up.
    """
    path = folder / MODEL
    if not path.is_file() and (folder / TOKENIZER).is_file():
        raise LaftError(
            f"{path}: no such file, and {TOKENIZER} alone is not enough; "
            "copy it from the model that this one was made of"
        )
    refuse_pointer(path)
    pieces = sentencepiece_dictionary.pieces(path)
    said = optional(folder / TOKENIZER_CONFIG)
    entries = numbered_entries(folder, said)
    for number in sorted(number for number in entries if 3 < number <= len(pieces)):
        if entries[number] != pieces[number - 1]:
            raise LaftError(
                f"{path}: its piece {number - 1} is {pieces[number - 1]!r}, but {TOKENIZER} has "
                f"{entries[number]!r} there; this is another model's sentencepiece"
            )
    tags = find_tags(folder, rows, len(pieces), entries, langs)
    named = said.get("tokenizer_class") or class_in_config
    return Vocabulary(pieces, tags, find_layout(folder, tags, named, layout))


def optional(path: Path) -> dict[str, Any]:
    """A JSON file that need not be there."""
    return read_json(path) if path.is_file() else {}


def numbered_entries(folder: Path, said: dict[str, Any]) -> dict[int, str]:
    """The entries of the vocabulary that tokenizer files name together with their row.

    ``said`` is tokenizer_config.json.
    """
    whole = optional(folder / TOKENIZER)
    try:
        listed = (whole.get("model") or {}).get("vocab") or []
        if not isinstance(listed, list):  # a table of pieces and ids: not a unigram model's
            raise TypeError
        entries = {row: entry[0] for row, entry in enumerate(listed)}
        entries |= {int(added["id"]): added["content"] for added in whole.get("added_tokens") or []}
        decoder = said.get("added_tokens_decoder") or {}
        entries |= {int(row): added["content"] for row, added in decoder.items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise LaftError(
            f"{folder}: {TOKENIZER} or {TOKENIZER_CONFIG} is not mBART's; "
            f"leave both out if {MODEL} is right"
        ) from None
    return entries


def find_tags(
    folder: Path, rows: int, pieces: int, entries: dict[int, str], langs: Sequence[str]
) -> list[str]:
    """The languages between the last piece and ``<mask>``, in order.

    Raises:
        LaftError: they cannot be told, or the rows do not add up.
    """
    first, count = pieces + 1, rows - pieces - 2
    tail = [entries.get(row) for row in range(first, rows)]
    numbered = [entry for entry in tail if entry is not None]
    if count > 0 and len(numbered) == len(tail):
        tags = numbered[:-1]
        if numbered[-1] != MASK or not all(map(TAG.fullmatch, tags)):
            raise LaftError(
                f"{folder}: the entries after its {pieces} pieces are {_short(numbered)}, not "
                f"languages and then {MASK}; entries added later cannot be imported"
            )
    elif numbered:
        raise _wrong_sum(folder, rows, pieces, f"the tokenizer names {len(numbered)} entries there")
    else:
        tags = _by_number(folder, count) or list(langs)
    if langs and (list(langs) != tags):
        raise LaftError(f"--langs: {folder} has {','.join(tags)}, in this order")
    if count < 1 or len(tags) != count:
        raise _wrong_sum(folder, rows, pieces, "mBART-cc25 has 25 languages, mBART-50 has 52")
    return tags


def _by_number(folder: Path, count: int) -> list[str]:
    """The languages that ``count`` alone, or a list without numbers, tells; else none."""
    for tags, _ in KNOWN.values():
        if len(tags) == count:
            return list(tags)
    for name in (TOKENIZER_CONFIG, SPECIALS):
        listed = optional(folder / name).get("additional_special_tokens") or []
        contents = [entry["content"] if isinstance(entry, dict) else entry for entry in listed]
        tags = [entry for entry in contents if TAG.fullmatch(str(entry))]
        # A list that begins as a known one goes on with entries added after <mask>.
        if len(tags) == count and not set(CC25) <= set(tags):
            return tags
    return []


def _wrong_sum(folder: Path, rows: int, pieces: int, why: str) -> LaftError:
    return LaftError(
        f"{folder}: its embedding has {rows} rows; {pieces} pieces of {MODEL}, <pad> and {MASK} "
        f"leave {rows - pieces - 2} for languages, which does not fit: {why}; use the model's own "
        f"{MODEL}, or name the languages by --langs"
    )


def _short(entries: Sequence[str]) -> str:
    return " ".join([*entries[:2], "...", *entries[-2:]] if len(entries) > 5 else entries)


def find_layout(
    folder: Path, tags: Sequence[str], tokenizer_class: str | None, option: str | None
) -> TagLayout:
    """Where the tag stands: as the user says, as the known list of languages or the class says.

    Raises:
        LaftError: nothing says it, or two disagree.
    """
    if option:
        return TagLayout(option)
    known = next((layout for listed, layout in KNOWN.values() if listed == list(tags)), None)
    named = CLASSES.get((tokenizer_class or "").removesuffix("Fast"))
    if known is not None and named is not None and known is not named:
        raise LaftError(
            f"{folder}: its {len(tags)} languages are those of the tag layout {known}, its "
            f"{tokenizer_class} writes {named}; say which by --tag-layout"
        )
    found = known or named
    if found is None:
        raise LaftError(
            f"{folder}: neither its {len(tags)} languages nor a tokenizer_class "
            f"({' or '.join(CLASSES)}) tells where the tag stands; say it by --tag-layout"
        )
    return found
