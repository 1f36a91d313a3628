"""mBART's text infilling: 35 % of the words, in spans of Poisson length, one mask a span."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset, Dictionary
from fairseq.data.denoising_dataset import DenoisingDataset
from torch import Tensor

from laft_fairseq.data.tagged_texts import TaggedTexts, batch_of
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.byte_fallback import is_byte, plain_text
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.scripts import is_unspaced

logger = logging.getLogger(__name__)

WORD_START = "\u2581"  # sentencepiece's mark
SAMPLE = 1000  # texts of a language that tell its script and its words
NO_TOKEN = torch.empty(0, dtype=torch.long)
FEW_WORDS = 0.04  # share of the subwords after a text's first that begin a word
SPANS = (0.01, 16.0)  # mean lengths for which fairseq's table of Poisson probabilities is right


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


def word_starts(dictionary: Dictionary, tag: str, text: str = "") -> Tensor:
    """Return (V,) uint8, 1 where a subword begins a word of this language.

    Words begin at ``▁``. In languages written without spaces, as the tag or some ``text`` of it
    tells, each subword is a word, or one mask would hide a whole sentence. A character written in
    bytes begins at its first byte.
    """
    unspaced = is_unspaced(tag, text)
    starts = torch.zeros(len(dictionary), dtype=torch.uint8)
    for index in range(dictionary.nspecial, len(dictionary)):
        subword = dictionary[index]
        if is_byte(subword):
            inside_character = 0x80 <= int(subword[3:5], 16) < 0xC0
            starts[index] = unspaced and not inside_character
        else:
            starts[index] = unspaced or subword.startswith(WORD_START)
    starts[dictionary.unk()] = 1
    return starts


def warn_of_few_words(texts: Sequence[Tensor], starts: Tensor, name: str, tag: str) -> None:
    """Warn where texts, (t,) each, have hardly a word boundary, so that a mask hides all of one."""
    after_first = torch.cat([NO_TOKEN, *(text[1:] for text in texts)])
    if len(after_first) and starts[after_first].float().mean() < FEW_WORDS:
        logger.warning(
            "%s: language %s: the texts have hardly a space between words, so that a mask hides a "
            "whole text and little is learned; write spaces, or, where the language has none, name "
            "its script in the tag, such as zho_Hans",
            name, tag,
        )  # fmt: skip


class InfillingDataset(BaseWrapperDataset):
    """Items of a noised source and the original target in one language, both tagged.

    The noise of an item depends on (seed, epoch, tag, index) alone, with ``fixed``, for validation,
    not on the epoch either. Neither ``</s>`` nor the tag is ever masked. Lengths are those of the
    original; a noised source may be a mask or two longer.

    ``mask`` is the share of the words that is masked, ``poisson_lambda`` a span's mean length in
    words.

    Raises:
        LaftError: noise that fairseq would not make as asked, or in an endless loop.
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
        super().__init__(texts)
        if not 0 <= mask <= 1:
            raise LaftError(f"--mask {mask}: must be a share of the words, from 0 to 1")
        if not SPANS[0] <= poisson_lambda <= SPANS[1]:
            raise LaftError(
                f"--poisson-lambda {poisson_lambda}: must be a mean length of spans in words, from "
                f"{SPANS[0]:g} to {SPANS[1]:g}"
            )
        self.dictionary = dictionary
        self.seed, self.fixed, self.epoch = seed, fixed, 1
        chosen = np.linspace(0, len(texts) - 1, min(SAMPLE, len(texts))).astype(int)
        sample = [texts.text(index)[:-1] for index in chosen.tolist()]  # X
        text = plain_text(dictionary[token] for token in torch.cat([*sample, NO_TOKEN]).tolist())
        starts = word_starts(dictionary, tag, text)
        warn_of_few_words(sample, starts, texts.name, tag)
        self.noise = DenoisingDataset(
            texts, texts.sizes, dictionary, dictionary.index(MASK), starts,
            shuffle=False, seed=seed, mask=mask, mask_random=0.0, insert=0.0, rotate=0.0,
            permute_sentences=0.0, bpe=None, replace_length=1, mask_length="span-poisson",
            poisson_lambda=poisson_lambda,
        )  # fmt: skip

    def set_epoch(self, epoch: int) -> None:
        """Draw new noise, unless it is fixed."""
        self.epoch = 1 if self.fixed else epoch

    def __getitem__(self, index: int) -> dict[str, Any]:
        texts: TaggedTexts = self.dataset
        text = texts.text(index)  # X </s>
        framed = torch.cat([text.new_tensor([self.dictionary.bos()]), text])  # spared, as the last
        with seeded(self.seed, self.epoch, texts.tag_id, index):
            noised = self.noise.add_whole_word_mask(framed, self.noise.mask_ratio)[1:]
        noised = texts.cut(noised)  # masks of empty spans may lengthen it
        return {"id": index, "source": texts.tagged(noised), "target": texts.tagged(text)}

    def collater(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch, see :func:`batch_of`."""
        return batch_of(samples, self.dictionary.pad())
