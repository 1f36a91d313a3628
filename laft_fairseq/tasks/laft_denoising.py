"""Stage 1 (section 3.3): generation pretraining, which restores infilled monolingual text."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fairseq.data import ResamplingDataset
from fairseq.tasks import register_task

from laft_fairseq.compat.options import option
from laft_fairseq.data.tagged_texts import MultilingualDataset
from laft_fairseq.tasks.laft_task import LaftTask
from laft_fairseq.tasks.options import LaftTaskOptions

logger = logging.getLogger(__name__)


@dataclass
class LaftDenoisingOptions(LaftTaskOptions):
    """Options of noise and sampling, mBART's by default."""

    mask: float = option(0.35, "share of the words that is masked")
    poisson_lambda: float = option(3.5, "mean length of a span in words")
    multilang_sampling_alpha: float = option(0.7, "languages are sampled in proportion to p^alpha")
    tokens_per_sample: int = option(512, "longer sentences are cut to this many tokens")


def size_ratios(sizes: Sequence[int], alpha: float) -> list[float]:
    """Return how often an epoch goes through each language, so that its share is p^alpha.

    With n_l sentences of N, q_l = p_l^alpha / sum p^alpha, and the ratio is q_l N / n_l.
    """
    n = np.asarray(sizes, dtype=np.float64)
    p = n / n.sum()
    q = p**alpha / (p**alpha).sum()
    return (q * n.sum() / n).tolist()


@register_task("laft_denoising", dataclass=LaftDenoisingOptions)
class LaftDenoising(LaftTask):
    """Monolingual text of source and target languages, ``data-bin/<tag>/<split>.{bin,idx}``."""

    stage = "denoising"

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        """Load a split: training sentences sampled by p^alpha, others all of them in order."""
        epoch = int(kwargs.get("epoch", 1))
        train = self.is_train_split(split, **kwargs)
        tags, longest = self.split_langs(train), self.longest(train, **kwargs)
        parts = [self.infilling(tag, split, longest, self.cfg, fixed=not train) for tag in tags]
        if not train:
            self.datasets[split] = MultilingualDataset(parts, shuffle=False)
            return
        ratios = size_ratios([len(part) for part in parts], self.cfg.multilang_sampling_alpha)
        for tag, part, ratio in zip(tags, parts, ratios, strict=True):
            logger.info("%s: %d sentences, %.2f times an epoch", tag, len(part), ratio)
        sampled = [
            part  # every sentence once
            if abs(r - 1) < 1e-9
            else ResamplingDataset(
                part, size_ratio=r, seed=self.cfg.seed, epoch=epoch, replace=r > 1
            )
            for part, r in zip(parts, ratios, strict=True)
        ]
        self.datasets[split] = MultilingualDataset(sampled, shuffle=True)
