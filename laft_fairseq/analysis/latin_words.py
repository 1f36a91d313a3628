"""Leave out of parallel texts the Latin words that both sides hold.

Names and commands (`libgtk2`, `Python`) find a translation by themselves. Without them retrieval
measures what the languages share beyond their spelling. Words are found in the joined pieces, so
binarised text is enough; a piece that holds a letter of a shared word goes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import regex
import torch
from fairseq.data import Dictionary, ListDataset
from numpy.typing import NDArray

from laft_fairseq.data.tagged_texts import TaggedTexts

# A name or a command, as scoring.language_id sees it in a text of another script.
LATIN_WORD = regex.compile(r"(?V1)[[\p{Latin}\p{N}\p{M}]--\p{Han}]+")
OPAQUE = regex.compile(r"<0x[0-9A-F]{2}>|<[a-z]+>|\[[a-z]{2,3}_[A-Z]{2}\]")  # bytes, specials, tags
WORD_START = "\u2581"

Word = tuple[str, int, int]  # case folded, from character, to character
Keep = NDArray[np.bool_]


def _joined(pieces: Sequence[str]) -> tuple[str, list[int]]:
    """Pieces as text, word starts as spaces; the place of each piece's end."""
    shown = ["\ufffc" if OPAQUE.fullmatch(p) else p.replace(WORD_START, " ") for p in pieces]
    return "".join(shown), np.cumsum([len(part) for part in shown]).tolist()


def latin_words(text: str) -> list[Word]:
    """The runs of Latin letters, digits and marks, with their places."""
    return [(found[0].casefold(), *found.span()) for found in LATIN_WORD.finditer(text)]


def kept(a: Sequence[str], b: Sequence[str]) -> tuple[Keep, Keep]:
    """Which pieces of two texts stay when the Latin words that both hold are left out."""
    sides = [_joined(pieces) for pieces in (a, b)]
    words = [latin_words(text) for text, _ in sides]
    shared = {word for word, _, _ in words[0]} & {word for word, _, _ in words[1]}
    masks = []
    for (_, ends), own in zip(sides, words, strict=True):
        keep = np.ones(len(ends), dtype=bool)
        for word, start, stop in own:
            if word in shared:
                first = int(np.searchsorted(ends, start, side="right"))
                last = int(np.searchsorted(ends, stop, side="left"))
                keep[first : last + 1] = False
        masks.append(keep)
    return masks[0], masks[1]


def without_shared(
    dictionary: Dictionary, a: TaggedTexts, b: TaggedTexts, rows: Sequence[int]
) -> tuple[list[TaggedTexts], list[float]]:
    """``rows`` of two parallel sets of texts without shared Latin words.

    Returns:
        Both sets, of ``len(rows)`` texts each, and the share of its pieces that each one lost.
    """
    sides: list[list[torch.Tensor]] = [[], []]
    lost, total = np.zeros(2), np.zeros(2)
    for row in rows:
        texts = [source.text(row)[:-1] for source in (a, b)]  # X without </s>
        masks = kept(*([dictionary[int(token)] for token in text] for text in texts))
        for side, (text, keep) in enumerate(zip(texts, masks, strict=True)):
            rest = text[torch.from_numpy(keep)]
            sides[side].append(torch.cat([rest, rest.new_tensor([dictionary.eos()])]))
            lost[side] += len(keep) - keep.sum()
            total[side] += len(keep)
    tagged = [
        TaggedTexts(ListDataset(own, [len(text) for text in own]), source.tag_id,
                    source.max_text + 1, "texts without shared words", source.layout)
        for own, source in zip(sides, (a, b), strict=True)
    ]  # fmt: skip
    return tagged, (lost / np.maximum(total, 1)).tolist()
