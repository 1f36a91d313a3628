"""Batches that mix annotated pairs with denoising of unlabelled text (after Vu et al., 2022)."""

from collections.abc import Sequence

import numpy as np

from laft_fairseq.data.adversarial_batches import drawn_targets
from laft_fairseq.data.infilling import InfillingDataset
from laft_fairseq.data.tagged_texts import MultilingualDataset, TaggedPairDataset, sorted_by
from laft_fairseq.errors import LaftError


class DenoisingMix(MultilingualDataset):
    """Pairs, and sentences to be denoised, which are a ``share`` of every batch's sentences.

    An epoch takes every pair once. Sentences are drawn evenly from all languages' text; epochs go
    through all of it before any comes again. Both kinds are put in order by length and interleaved,
    so that of N consecutive sentences, as a batch has them, N times the share are denoised, to
    within one, whatever the number of processes.
    """

    def __init__(
        self,
        pairs: Sequence[TaggedPairDataset],
        texts: Sequence[InfillingDataset],
        share: float,
        seed: int,
    ) -> None:
        if not 0 < share < 1:
            raise LaftError(f"--mix-denoising {share}: must be a share, above 0 and below 1")
        super().__init__([*pairs, *texts], shuffle=True)
        self.pairs, self.seed, self.epoch = sum(map(len, pairs)), seed, 1
        self.drawn = round(self.pairs * share / (1 - share))  # sentences of an epoch

    @property
    def sizes(self) -> np.ndarray:
        """Return the (n, 2) tokens of each item's source and target."""
        each = [np.asarray(part.sizes).reshape(len(part), -1) for part in self.datasets]
        return np.concatenate([np.broadcast_to(size, (len(size), 2)) for size in each])

    def set_epoch(self, epoch: int) -> None:
        """Draw the epoch's sentences and noise."""
        super().set_epoch(epoch)
        self.epoch = epoch

    def ordered_indices(self) -> np.ndarray:
        """Return the epoch's items, both kinds by length and interleaved."""
        texts, total = len(self) - self.pairs, self.pairs + self.drawn
        drawn = drawn_targets(self.epoch, self.drawn, 1, texts, self.seed)
        before = np.arange(total + 1) * self.drawn // total  # sentences before each place
        is_text = np.diff(before).astype(bool)  # (total,)
        order, sizes = np.empty(total, dtype=np.int64), self.sizes
        # fairseq seeds numpy; equal lengths at random
        order[~is_text] = sorted_by(np.random.permutation(self.pairs), sizes)
        order[is_text] = sorted_by(self.pairs + drawn, sizes)
        return order
