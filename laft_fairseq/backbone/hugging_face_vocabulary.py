"""The vocabulary of a Hugging Face model: its subwords, its languages in order, its tag layout.

The rows of mBART's embedding are ``<s> <pad> </s> <unk>``, sentencepiece's subwords from the fourth
on, a row a language, and ``<mask>``: subwords + 1 + languages + 1 of them. NLLB-200 has rows
without a name after them. M2M-100 has its subwords in another order, lacks some of them, and has no
``<mask>``. The tokenizer, read by transformers, tells which languages they are, and of M2M-100 and
NLLB-200 the row of each entry.
"""

import itertools
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from laft_fairseq.backbone.hugging_face import M2M, load_transformers
from laft_fairseq.backbone.subword_selection import SubwordModel, trimmed
from laft_fairseq.errors import LaftError, in_one_line
from laft_fairseq.languages import sentencepiece_dictionary
from laft_fairseq.languages.byte_fallback import UNKNOWN
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.sentencepiece_dictionary import FAIRSEQ_FIRST, FIRST
from laft_fairseq.languages.tags import CC25, MBART50, TAG

SENTENCEPIECE = "sentencepiece.bpe.model"
BY_CLASS = {"MBartTokenizerFast": TagLayout.SUFFIX, "MBart50TokenizerFast": TagLayout.PREFIX}
BY_LANGUAGES = {tuple(CC25): TagLayout.SUFFIX, tuple(MBART50): TagLayout.PREFIX}
M2M_TAG = "__([a-z]{2,3})__"  # as a regular expression
MOST_MISSING = 0.1  # share of a sentencepiece model's subwords


class Vocabulary(NamedTuple):
    """What a directory says of its vocabulary."""

    subwords: list[str]  # sentencepiece's by id, `<unk>` first
    tags: list[str]  # the languages, in the order of their rows
    layout: TagLayout
    sentencepiece: bytes  # the sentencepiece model, serialised
    rows: Tensor | None = None  # (V,) int64, each entry's row in the embedding; None: the same
    remark: str = ""  # what is left out or made up, in words


def read(
    folder: Path, config: Any, langs: Sequence[str] = (), layout: str | None = None
) -> Vocabulary:
    """Return the vocabulary of a Hugging Face directory; ``langs`` and ``layout`` are the user's.

    Raises:
        LaftError: no sentencepiece model, another tokenizer's, or languages that cannot be told.
    """
    path = folder / SENTENCEPIECE
    subwords = sentencepiece_dictionary.read_subwords(path)
    if config.model_type == M2M:
        return _read_m2m(folder, config.vocab_size, subwords, langs, layout)
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
    layout = find_layout(folder, tokenizer, tags, layout)
    return Vocabulary(subwords, tags, layout, path.read_bytes())


def _read_m2m(
    folder: Path, size: int, subwords: list[str], langs: Sequence[str], layout: str | None
) -> Vocabulary:
    """Return the vocabulary of an M2M-100 or NLLB-200 whose embedding has ``size`` rows.

    Subwords without a row, which M2M-100's tokenizer reads as ``<unk>``, are taken out of the
    sentencepiece model, so that their text is segmented into others. Without a ``<mask>``, its row
    is that of ``<unk>``, which also stands for a word that is not known.
    """
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    path = folder / SENTENCEPIECE
    tokenizer = read_tokenizer(folder, 0, 0)
    entries: dict[str, int] = tokenizer.get_vocab()
    special = getattr(tokenizer, "lang_token_to_id", None) or {  # M2M-100's; NLLB-200's
        token: entries[token] for token in tokenizer.additional_special_tokens
    }
    written = {token: re.sub(M2M_TAG, r"\1_XX", token) for token in special}
    languages = [token for token in sorted(special, key=special.__getitem__)
                 if re.fullmatch(TAG, written[token])]  # fmt: skip
    tags = [written[token] for token in languages]
    if not tags or (langs and list(langs) != tags):
        raise LaftError(
            f"{folder}: its tokenizer names {','.join(tags) or 'no language'}"
            + (f", --langs {','.join(langs)}" if langs else "; fetch all of its files again")
        )
    absent = [name for name in FAIRSEQ_FIRST if name not in entries]
    if absent:
        raise LaftError(f"{folder}: its tokenizer has no {absent[0]}, which M2M-100 and NLLB need")
    keep = [number < len(FIRST) or name in entries for number, name in enumerate(subwords)]
    kept = list(itertools.compress(subwords, keep))
    names = [*FAIRSEQ_FIRST, *kept[len(FIRST) :]]
    mask = entries.get(MASK, entries[UNKNOWN])
    rows = torch.tensor([*(entries[name] for name in names), *map(special.get, languages), mask])
    missing, unused = len(subwords) - len(kept), size - len(rows.unique())
    if missing > MOST_MISSING * len(subwords) or int(rows.max()) >= size:
        raise LaftError(
            f"{path}: its tokenizer lacks {missing:,} of {len(subwords):,} subwords and has "
            f"{int(rows.max()) + 1:,} rows of the model's {size:,}; one of them is another model's"
        )
    if getattr(tokenizer, "legacy_behaviour", False) and not layout:
        raise LaftError(
            f"{folder}: its tokenizer was saved with legacy_behaviour, X </s> [l], which is not "
            "how NLLB-200 was trained; say by --tag-layout prefix or suffix what this model learned"
        )
    others = sorted(entries.keys() - {*names, *languages, MASK}, key=entries.__getitem__)
    shown = f" ({', '.join(others[:5])}{', ...' * (len(others) > 5)})" if others else ""
    remarks = [
        f"{missing:,} subwords without a row are left out" * bool(missing),
        f"{unused:,} rows of no subword or language are left out{shown}" * bool(unused),
        f"{MASK} is a copy of {UNKNOWN}" * (MASK not in entries),
    ]
    model = path.read_bytes()
    if missing:
        model = trimmed(SubwordModel(ModelProto.FromString(model), subwords), np.array(keep))
    found = TagLayout(layout or TagLayout.PREFIX)
    return Vocabulary(kept, tags, found, model, rows, "; ".join(filter(None, remarks)))


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
    """Return the fast tokenizer of a directory; mBART-50's, if its own is of too few ``rows``."""
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
