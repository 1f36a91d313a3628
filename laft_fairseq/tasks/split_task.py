"""What both stages decide about a split: whether it trains, its languages, its texts' lengths."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary
from torch import Tensor

from laft_fairseq import agreement
from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.adversarial_batches import AdversarialRows
from laft_fairseq.tasks.laft_task import LaftTask
from laft_fairseq.tasks.options import resolved

logger = logging.getLogger(__name__)


class SplitTask(LaftTask):
    """Base of the two stages: the split named by ``--train-subset`` trains, others are read."""

    def __init__(self, cfg: Any, dictionary: Dictionary, tags: list[str]) -> None:
        super().__init__(cfg, dictionary, tags)
        self.begun = False  # training
        self.said: set[str] = set()  # languages that a warning has named

    def trains(self, split: str, **kwargs: Any) -> bool:
        """Whether ``split`` is loaded to train on.

        Args:
            split: its name.
            kwargs: fairseq's, of ``load_dataset``; ``task_cfg`` among them, the checkpoint's
                options, says that a model is only used, so that ``--gen-lang`` decides.
        """
        if split != resolved(self.cfg, "train_subset", "train"):
            return False
        return not (self.cfg.gen_lang and "task_cfg" in kwargs)

    def split_langs(self, train: bool) -> list[str]:
        """The languages to read: those trained on, or those generated in or validated on."""
        if train:
            return self.train_langs()
        return self.languages("gen_lang") or self.languages("valid_langs") or self.train_langs()

    def longest(self, train: bool, rows: int = 1, **kwargs: Any) -> int:
        """The most tokens of a text that a batch has room for, to which training cuts it.

        Fairseq would leave longer ones out of training, and fail at them in validation. Where a
        model is only used, nothing is cut for a batch's sake: see :func:`refuse_longer`.

        Args:
            train: whether the text trains.
            rows: texts, padded to one length, that come into a batch together at least.
            kwargs: as of :meth:`trains`.
        """
        name = "max_tokens" if train else "max_tokens_valid"
        most = None if "task_cfg" in kwargs else resolved(self.cfg, name, None)
        return sys.maxsize if most is None else int(most) // rows

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Batches of every text, or none: fairseq would drop long ones or fail at them."""
        most = kwargs.get("max_tokens", args[0] if args else None)
        checks_itself = isinstance(dataset, AdversarialRows)
        if most is not None and len(dataset) and not checks_itself:
            refuse_longer(dataset, int(most))
        return super().get_batch_iterator(dataset, *args, **kwargs)

    def begin_epoch(self, epoch: int, model: Any) -> None:
        """Before the first update say what no training has touched; the weights are in place."""
        super().begin_epoch(epoch, model)
        own = own_model(model)
        if own is None or self.begun:
            return
        self.begun = True
        self.said |= own.untrained_tags()
        words = own.untrained_words()
        if words and not (agreement.several() and torch.distributed.get_rank()):
            logger.warning(
                "no training has touched %s: as initialised they stay, unless they are trained in "
                "stage 1, with their languages among its --train-langs, and its checkpoint is "
                "given by --finetune-from-model",
                words,
            )

    def inference_step(
        self, generator: Any, models: Any, sample: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Generate, with a warning for a language whose parts no training has touched."""
        for model in models:
            untrained = model.untrained_tags() if isinstance(model, LAFTMBart) else set()
            for tag in (untrained - self.said) & self._written(model, sample["net_input"]):
                self.said.add(tag)
                logger.warning(
                    "no training has touched what this model has for %s alone, its adapter or tag: "
                    "train stage 1 with %s among --train-langs, and stage 2 from its checkpoint",
                    tag,
                    tag,
                )
        return super().inference_step(generator, models, sample, *args, **kwargs)

    @staticmethod
    def _written(model: LAFTMBart, inputs: dict[str, Any]) -> set[str]:
        """The tags of the languages that a batch is to be written in."""
        languages: Tensor | None = inputs.get("output_language")  # (B,), or None: the source's own
        if languages is None:
            languages = model.encoder.language_tags.of_source(inputs["src_tokens"])  # (B,)
        return {model.tags[index] for index in torch.unique(languages).tolist()}


def own_model(model: Any) -> LAFTMBart | None:
    """Our model in what fairseq's trainer wraps around it; None for another's."""
    return next((module for module in model.modules() if isinstance(module, LAFTMBart)), None)


def refuse_longer(dataset: Any, max_tokens: int) -> None:
    """Refuse a batch size in tokens that holds less than the longest item.

    Raises:
        LaftError: names the length and the file.
    """
    sizes = np.asarray(dataset.sizes).reshape(len(dataset), -1)  # (n, 1 or 2)
    longest = int(sizes.max(axis=1).argmax())  # an item
    tokens = int(dataset.num_tokens(longest))
    if tokens > max_tokens:
        where = f" of {dataset.name_of(longest)}" if hasattr(dataset, "name_of") else ""
        raise LaftError(
            f"--max-tokens {max_tokens}: a text{where} takes {tokens}, and none is left out; allow "
            "as many, or cut texts by --max-source-positions and --max-target-positions"
        )
