"""mBART's text infilling: 35 % of the words, in spans of Poisson length, one mask a span."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary, FairseqDataset
from fairseq.data.denoising_dataset import DenoisingDataset
from torch import Tensor

from laft_fairseq.data.tagged_texts import TaggedTexts, batch_of
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.scripts import is_unspaced

WORD_START = "\u2581"  # sentencepiece's mark
SPANS = (0.01, 16.0)  # mean lengths for which fairseq's table of Poisson probabilities is right


def check_noise(mask: float, poisson_lambda: float) -> None:
    """Refuse noise that fairseq would not make as asked, or in an endless loop.

    Args:
        mask: share of the words.
        poisson_lambda: mean length of a span in words.

    Raises:
        LaftError: names the option.
    """
    if not 0 <= mask <= 1:
        raise LaftError(f"--mask {mask}: must be a share of the words, from 0 to 1")
    if not SPANS[0] <= poisson_lambda <= SPANS[1]:
        raise LaftError(
            f"--poisson-lambda {poisson_lambda}: must be a mean length of spans in words, from "
            f"{SPANS[0]:g} to {SPANS[1]:g}"
        )


@contextlib.contextmanager
def seeded(*parts: int) -> Iterator[None]:
    """Seed torch's CPU generator by ``parts`` within the context, then restore its state."""
    generator = torch.default_generator
    before = generator.get_state()
    seed = int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])
    generator.manual_seed(seed >> 1)
    try:
        yield
    finally:
        generator.set_state(before)


def word_starts(dictionary: Dictionary, tag: str) -> Tensor:
    """Return (V,) uint8, 1 where a subword begins a word of this language.

    Words begin at ``▁``. In languages written without spaces each subword is a word, or one mask
    would hide a whole sentence. A character written in bytes begins at its first byte.
    """
    unspaced = is_unspaced(tag)
    starts = torch.zeros(len(dictionary), dtype=torch.uint8)
    for index in range(dictionary.nspecial, len(dictionary)):
        subword = dictionary[index]
        if len(subword) == 6 and subword.startswith("<0x"):
            inside_character = 0x80 <= int(subword[3:5], 16) < 0xC0
            starts[index] = unspaced and not inside_character
        else:
            starts[index] = unspaced or subword.startswith(WORD_START)
    starts[dictionary.unk()] = 1
    return starts


class InfillingDataset(FairseqDataset):
    """Items of a noised source and the original target in one language, both tagged.

    The noise of an item depends on (seed, epoch, tag, index) alone, with ``fixed``, for validation,
    not on the epoch either. Neither ``</s>`` nor the tag is ever masked.

    Raises:
        LaftError: noise out of range, see :func:`check_noise`.
    """

    def __init__(
        self,
        texts: TaggedTexts,
        dictionary: Dictionary,
        tag: str,
        *,
        seed: int,
        fixed: bool,
        mask: float,
        poisson_lambda: float,
    ) -> None:
        super().__init__()
        check_noise(mask, poisson_lambda)
        self.texts, self.dictionary = texts, dictionary
        self.seed, self.fixed, self.epoch = seed, fixed, 1
        self.sizes = texts.sizes
        self.noise = DenoisingDataset(
            texts, texts.sizes, dictionary, dictionary.index(MASK), word_starts(dictionary, tag),
            shuffle=False, seed=seed, mask=mask, mask_random=0.0, insert=0.0, rotate=0.0,
            permute_sentences=0.0, bpe=None, replace_length=1, mask_length="span-poisson",
            poisson_lambda=poisson_lambda,
        )  # fmt: skip

    def set_epoch(self, epoch: int) -> None:
        """Draw new noise, unless it is fixed."""
        self.epoch = 1 if self.fixed else epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Return True, as only the noise changes, not the sizes."""
        return True

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        text = self.texts.text(index)  # X </s>
        with seeded(self.seed, self.epoch, self.texts.tag_id, index):
            noised = self.texts.cut(self.infill(text))  # masks of empty spans may lengthen it
        tagged = self.texts.tagged
        return {"id": index, "source": tagged(noised), "target": tagged(text)}

    def infill(self, text: Tensor) -> Tensor:
        """Return ``X' </s>`` for (t,) ``X </s>``; fairseq's noise spares first and last token."""
        framed = torch.cat([text.new_tensor([self.dictionary.bos()]), text])
        return self.noise.add_whole_word_mask(framed, self.noise.mask_ratio)[1:]

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch, see :func:`batch_of`."""
        return batch_of(samples, self.dictionary.pad())

    def name_of(self, index: int) -> str:
        """Return the file of an item."""
        return self.texts.name

    def num_tokens(self, index: int) -> int:
        """Return the tokens of the original, tag included."""
        return self.texts.num_tokens(index)

    def size(self, index: int) -> tuple[int, int]:
        """Return the lengths for filtering; the noised one may be a mask or two longer."""
        return self.texts.size(index), self.texts.size(index)

    def ordered_indices(self) -> np.ndarray:
        """Return items by size, so that batches hold little padding."""
        return np.argsort(self.sizes, kind="mergesort")
