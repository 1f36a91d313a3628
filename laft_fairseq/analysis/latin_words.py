"""Parallel sentences without the Latin words that both sides hold.

Names and commands (`libgtk2`, `Python`) find a translation by themselves. Without them retrieval
measures what the languages share beyond their spelling. Words are found in the joined subwords, so
binarised text is enough; a subword that holds a letter of a shared word goes.
"""

from collections.abc import Sequence

import numpy as np
import regex
import torch
from fairseq.data import Dictionary, ListDataset
from numpy.typing import NDArray

from laft_fairseq.data.tagged_texts import TaggedTexts
from laft_fairseq.languages.tags import TAG
from laft_fairseq.scoring.language_id import LATIN_WORD

OPAQUE = regex.compile(rf"<0x[0-9A-F]{{2}}>|<[a-z]+>|\[{TAG}\]")  # bytes, specials, tags
WORD_START = "\u2581"

Keep = NDArray[np.bool_]


def kept(a: Sequence[str], b: Sequence[str]) -> tuple[Keep, Keep]:
    """Return which subwords of two sentences stay without the Latin words that both hold."""
    texts = ["".join(map(_as_text, subwords)) for subwords in (a, b)]
    words = [[(w[0].casefold(), *w.span()) for w in LATIN_WORD.finditer(text)] for text in texts]
    shared = {word for word, _, _ in words[0]} & {word for word, _, _ in words[1]}
    masks = []
    for subwords, in_text in zip((a, b), words, strict=True):
        ends = np.cumsum([len(_as_text(subword)) for subword in subwords])
        keep = np.ones(len(subwords), dtype=bool)
        for word, start, stop in in_text:
            if word in shared:
                first = int(np.searchsorted(ends, start, side="right"))
                last = int(np.searchsorted(ends, stop, side="left"))
                keep[first : last + 1] = False
        masks.append(keep)
    return masks[0], masks[1]


def _as_text(subword: str) -> str:
    """Return a subword as text: a space for a word start, one character for what is none."""
    return "\ufffc" if OPAQUE.fullmatch(subword) else subword.replace(WORD_START, " ")


def without_shared(
    dictionary: Dictionary, a: TaggedTexts, b: TaggedTexts, indices: Sequence[int]
) -> tuple[list[TaggedTexts], list[float]]:
    """Return the parallel sentences at ``indices`` without shared Latin words.

    Returns:
        Both sides, of ``len(indices)`` sentences each, and the share of subwords that each lost.
    """
    sides: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    lost, total = np.zeros(2), np.zeros(2)
    for index in indices:
        pair = [side.text(index)[:-1] for side in (a, b)]  # X without </s>
        masks = kept(*([dictionary[int(token)] for token in text] for text in pair))
        for side, (text, keep) in enumerate(zip(pair, masks, strict=True)):
            rest = text[torch.from_numpy(keep)]
            sides[side].append(torch.cat([rest, rest.new_tensor([dictionary.eos()])]))
            lost[side] += len(keep) - keep.sum()
            total[side] += len(keep)
    tagged = []
    for texts, source in zip(sides, (a, b), strict=True):
        listed = ListDataset(texts, [len(text) for text in texts])
        name, limit = "sentences without shared words", source.max_text + 1
        tagged.append(TaggedTexts(listed, source.tag_id, limit, name, source.layout))
    return tagged, (lost / np.maximum(total, 1)).tolist()
