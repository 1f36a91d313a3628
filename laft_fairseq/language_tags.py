"""Languages as mBART writes them: a tag such as ``[fr_XX]`` beside the text.

This is the one place that knows where the tag stands (:class:`TagLayout`): mBART-cc25 writes
``X </s> [l]``, mBART-50 ``[l] X </s>``. In both the decoder's input is a target with its last token
moved to the front.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
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
MBART50 = CC25 + (
    "af_ZA,az_AZ,bn_IN,fa_IR,he_IL,hr_HR,id_ID,ka_GE,km_KH,mk_MK,ml_IN,mn_MN,mr_IN,"
    "pl_PL,ps_AF,pt_XX,sv_SE,sw_KE,ta_IN,te_IN,th_TH,tl_XX,uk_UA,ur_PK,xh_ZA,gl_ES,sl_SI"
).split(",")
LAYOUT_FILE = "tag-layout.txt"  # beside langs.txt, in a backbone's folder and in a data-bin
NEVER_SEEN = "one that the backbone never saw is named by --new-langs"
# Written without spaces between words: sentencepiece's word starts mean nothing there.
UNSPACED = frozenset({"zh", "ja", "th", "my", "km", "lo"})


class TagLayout(StrEnum):
    """Where the tag stands in a text X of language l, source and target alike.

    ==========  =============  =======================  ================
    layout      text           decoder input            used by
    ==========  =============  =======================  ================
    ``suffix``  ``X </s> [l]``  ``[l] X </s>``           mBART-cc25
    ``prefix``  ``[l] X </s>``  ``</s> [l] X``           mBART-50
    ==========  =============  =======================  ================
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

    def text_start(self, targets: Tensor) -> Tensor:
        """(B, t) first tokens of targets -> those of them that a search, given the tag, writes."""
        return targets[:, self.lead :]


def tag_layout(folder: str | Path, option: str | None = None) -> TagLayout:
    """The layout of a backbone's or data folder: ``--tag-layout``, else its file, else suffix.

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


def words_of(path: Path) -> list[str]:
    """The words of a small text file, a tag or a layout each. Raises LaftError if it is no text."""
    try:
        return path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise LaftError(f"{path}: cannot be read as UTF-8 text ({error})") from None


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


def unknown(option: str, tag: str, where: str | Path, tags: Sequence[str]) -> str:
    """What an error says of a ``tag`` that is none of ``tags``: which are, which one is meant."""
    alike = [known for known in tags if known.split("_")[0] == tag.split("_")[0].lower()]
    meant = f" (did you mean {alike[0]}?)" if alike else ""
    return f"{option}: unknown language {tag}{meant}; {where} has {', '.join(tags)}"


def dictionary_tags(data: str | Path, langs: str | None = None) -> list[str]:
    """The tags in dictionary order: ``--langs``, else ``data/langs.txt``, else cc25's 25."""
    if langs:
        return split_tags(langs)
    path = Path(data) / "langs.txt"
    if not path.is_file():
        return list(CC25)
    tags = split_tags(",".join(words_of(path)))
    if not tags:
        raise LaftError(f"{path}: no language in it; write one tag a line, in dictionary order")
    return tags


def load_dictionary(
    data: str | Path, tags: Sequence[str], new_tags: Sequence[str] = ()
) -> Dictionary:
    """``dict.txt``, then the tags in order, then ``<mask>``, then those new to the backbone.

    Raises:
        LaftError: no ``dict.txt``, one that is none, or that already holds a tag or ``<mask>``.
    """
    path = Path(data) / "dict.txt"
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
                f"{path}: already holds {entry}; dict.txt must hold sentencepiece's pieces alone"
            )
        dictionary.add_symbol(entry)
    return dictionary


class LanguageTags(nn.Module):
    """The tags of a dictionary, and the language of each row of a batch.

    A language's *index* is its place in ``tags``. Holds no parameter and nothing of a batch.
    """

    index_of_token: Tensor  # (V,) int64: a tag's index; -1 for what is no tag
    is_text: Tensor  # (V,) bool: True for the text's own tokens

    def __init__(
        self, dictionary: Dictionary, tags: Sequence[str], layout: TagLayout = TagLayout.SUFFIX
    ) -> None:
        super().__init__()
        self.tags = tuple(tags)
        self.layout = layout
        self.pad, self.eos = dictionary.pad(), dictionary.eos()
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

    def beyond(self, size: int) -> list[str]:
        """The tags for which an embedding of ``size`` rows has none: of new languages."""
        pairs = zip(self.tags, self.token_ids, strict=True)
        return [tag for tag, token in pairs if token >= size]

    def text_mask(self, tokens: Tensor) -> Tensor:
        """(B, T) bool, True at the text's own tokens: no padding, ``<s>``, ``</s>`` or tag."""
        return self.is_text[tokens]

    def without_tags(self, tokens: Tensor) -> Tensor:
        """(B, T) tokens -> the same with ``<mask>`` in place of each tag."""
        return torch.where(self.index_of_token[tokens] >= 0, self.mask, tokens)

    def of_source(self, tokens: Tensor) -> Tensor:
        """(B, T) source tokens, padded on either side -> (B,) index of each row's language."""
        positions = torch.arange(1, tokens.size(1) + 1, device=tokens.device)  # (T,)
        where = "source ends"
        if self.layout is TagLayout.PREFIX:
            positions, where = positions.flip(0), "source begins"
        end = (tokens.ne(self.pad) * positions).argmax(dim=1, keepdim=True)  # (B, 1)
        return self._checked(tokens.gather(1, end).squeeze(1), where)

    def of_decoder_input(self, tokens: Tensor) -> Tensor:
        """(B, T) decoder input or its first tokens -> (B,) index of each row's language."""
        place = min(self.layout.lead, tokens.size(1) - 1)
        return self._checked(tokens[:, place], f"decoder input {('begins', 'goes on')[place]}")

    def decoder_input(self, written: Tensor) -> Tensor:
        """(B, t) tag and text as a search writes them -> (B, lead + t) the decoder's input."""
        lead = written.new_full((len(written), self.layout.lead), self.eos)
        return torch.cat([lead, written], dim=1)

    def _checked(self, token: Tensor, where: str) -> Tensor:
        index = self.index_of_token[token]
        if (index < 0).any():
            bad = int(token[index < 0][0])
            raise LaftError(
                f"a {where} with token {bad}, which is no language tag; "
                f"the languages are {', '.join(self.tags)}"
            )
        return index
