"""Languages as mBART writes them: a tag such as ``[fr_XX]``, after the text's ``</s>``.

This is the one place that knows where the tag stands. A text of language l is laid out as
``X </s> [l]``; the decoder's input is ``[l] X </s>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from fairseq.data import Dictionary
from torch import Tensor, nn

from laft_fairseq.errors import LaftError

MASK = "<mask>"
CC25 = (
    "ar_AR,cs_CZ,de_DE,en_XX,es_XX,et_EE,fi_FI,fr_XX,gu_IN,hi_IN,it_IT,ja_XX,kk_KZ,"
    "ko_KR,lt_LT,lv_LV,my_MM,ne_NP,nl_XX,ro_RO,ru_RU,si_LK,tr_TR,vi_VN,zh_CN"
).split(",")
# Written without spaces between words: sentencepiece's word starts mean nothing there.
UNSPACED = frozenset({"zh", "ja", "th", "my", "km", "lo"})


def symbol(tag: str) -> str:
    """The dictionary's entry for a language: ``fr_XX`` -> ``[fr_XX]``."""
    return f"[{tag}]"


def is_unspaced(tag: str) -> bool:
    """True where each piece counts as a word in the noise (Chinese, Japanese, Thai ...)."""
    return tag.split("_")[0] in UNSPACED


def split_tags(text: str | None) -> list[str]:
    """``"en_XX,fr_XX"`` -> ``["en_XX", "fr_XX"]``; duplicates are refused."""
    tags = [tag.strip() for tag in (text or "").split(",") if tag.strip()]
    repeated = sorted({tag for tag in tags if tags.count(tag) > 1})
    if repeated:
        raise LaftError(f"language {repeated[0]} is listed twice in {text!r}")
    return tags


def dictionary_tags(data: str | Path, langs: str | None = None) -> list[str]:
    """The tags in dictionary order: ``--langs``, else ``data/langs.txt``, else cc25's 25."""
    if langs:
        return split_tags(langs)
    path = Path(data) / "langs.txt"
    if not path.exists():
        return list(CC25)
    tags = split_tags(",".join(path.read_text(encoding="utf-8").split()))
    if not tags:
        raise LaftError(f"{path}: no language in it; write one tag a line, in dictionary order")
    return tags


def load_dictionary(data: str | Path, tags: Sequence[str]) -> Dictionary:
    """``dict.txt``, then the tags in order, then ``<mask>``.

    Raises:
        LaftError: no ``dict.txt``, or one that already holds a tag or ``<mask>``.
    """
    path = Path(data) / "dict.txt"
    if not path.exists():
        raise LaftError(f"{path}: no dictionary; copy the backbone's dict.txt there")
    dictionary = Dictionary.load(str(path))
    for entry in [*(symbol(tag) for tag in tags), MASK]:
        if entry in dictionary:
            raise LaftError(
                f"{path}: already holds {entry}; dict.txt must hold sentencepiece's pieces alone"
            )
        dictionary.add_symbol(entry)
    return dictionary


def append_tag(text: Tensor, tag_id: int) -> Tensor:
    """(n,) ``X </s>`` -> (n + 1,) ``X </s> [l]``."""
    return torch.cat([text, text.new_tensor([tag_id])])


class LanguageTags(nn.Module):
    """The tags of a dictionary, and the language of each row of a batch.

    A language's *index* is its place in ``tags``. Holds no parameter and nothing of a batch.
    """

    index_of_token: Tensor  # (V,) int64: a tag's index; -1 for what is no tag
    is_text: Tensor  # (V,) bool: True for the text's own tokens

    def __init__(self, dictionary: Dictionary, tags: Sequence[str]) -> None:
        super().__init__()
        self.tags = tuple(tags)
        self.pad = dictionary.pad()
        self.token_ids = [self._token_id(dictionary, tag) for tag in tags]
        index_of_token = torch.full((len(dictionary),), -1)
        index_of_token[self.token_ids] = torch.arange(len(self.tags))
        is_text = index_of_token < 0
        is_text[[dictionary.bos(), dictionary.pad(), dictionary.eos()]] = False
        self.mask = dictionary.index(MASK)
        self.register_buffer("index_of_token", index_of_token, persistent=False)
        self.register_buffer("is_text", is_text, persistent=False)

    @staticmethod
    def _token_id(dictionary: Dictionary, tag: str) -> int:
        token = dictionary.index(symbol(tag))
        if token == dictionary.unk():
            raise LaftError(f"language {tag}: no {symbol(tag)} in the dictionary; check --langs")
        return int(token)

    def text_mask(self, tokens: Tensor) -> Tensor:
        """(B, T) bool, True at the text's own tokens: no padding, ``<s>``, ``</s>`` or tag."""
        return self.is_text[tokens]

    def without_tags(self, tokens: Tensor) -> Tensor:
        """(B, T) tokens -> the same with ``<mask>`` in place of each tag."""
        return torch.where(self.index_of_token[tokens] >= 0, self.mask, tokens)

    def of_source(self, tokens: Tensor) -> Tensor:
        """(B, T) source tokens, padded on either side -> (B,) index of each row's language."""
        positions = torch.arange(1, tokens.size(1) + 1, device=tokens.device)  # (T,)
        last = (tokens.ne(self.pad) * positions).argmax(dim=1, keepdim=True)  # (B, 1)
        return self._checked(tokens.gather(1, last).squeeze(1), "source ends")

    def of_decoder_input(self, tokens: Tensor) -> Tensor:
        """(B, T) decoder input or its prefix -> (B,) index of each row's language."""
        return self._checked(tokens[:, 0], "decoder input begins")

    def _checked(self, token: Tensor, where: str) -> Tensor:
        index = self.index_of_token[token]
        if (index < 0).any():
            bad = int(token[index < 0][0])
            raise LaftError(
                f"a {where} with token {bad}, which is no language tag; "
                f"the languages are {', '.join(self.tags)}"
            )
        return index
