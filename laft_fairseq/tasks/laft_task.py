"""What the tasks of both stages share: dictionary, languages, splits, precision, checks."""

import logging
import os
import sys
from pathlib import Path
from typing import Any, ClassVar, Self

from fairseq import utils
from fairseq.data import Dictionary
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.tasks import FairseqTask

from laft_fairseq.checkpoints.reading import checked_tensors, read_checkpoint
from laft_fairseq.checkpoints.untrained_parts import describe_parts
from laft_fairseq.data.adversarial_batches import AdversarialRows
from laft_fairseq.data.infilling import InfillingDataset
from laft_fairseq.data.tagged_texts import TaggedTexts, load_texts, refuse_longer
from laft_fairseq.errors import LaftError, flag, in_one_line
from laft_fairseq.languages import tags as language_tags
from laft_fairseq.languages.dictionary import dictionary_tags, load_dictionary, read_new_langs
from laft_fairseq.languages.layout import tag_layout
from laft_fairseq.models.laft_mbart import LAFTMBart, laft_model_in
from laft_fairseq.models.options import warn_of_unused
from laft_fairseq.tasks.decoding import Decoding
from laft_fairseq.tasks.options import interpolated_or_default
from laft_fairseq.training import frozen_weights, rank_consistency, remarks
from laft_fairseq.training.launch import refuse_lost_processes
from laft_fairseq.training.precision import autocast

logger = logging.getLogger(__name__)


class LaftTask(Decoding, FairseqTask):
    """Base of the two tasks, which each name their ``stage`` (method/systems.py)."""

    stage: ClassVar[str]

    def __init__(self, cfg: Any, dictionary: Dictionary, tags: list[str]) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.tags = tags
        self.checkpoint = ""  # the model's file, where it is not trained
        self.casts = frozen_weights.Casts()
        self.layout = tag_layout(cfg.data, cfg.tag_layout)
        self.tag_ids = {tag: dictionary.index(language_tags.symbol(tag)) for tag in tags}
        self.has_begun = False  # training
        self.warned = set()

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> Self:
        """Set the task up with the data directory's dictionary and languages."""
        refuse_lost_processes()
        if not Path(cfg.data).is_dir():
            raise LaftError(f"{cfg.data}: no such data directory")
        tags = dictionary_tags(cfg.data, cfg.langs)
        new = read_new_langs(cfg.data, cfg.new_langs, tags)
        dictionary = load_dictionary(cfg.data, tags, new)
        return cls(cfg, dictionary, [*tags, *new])

    @property
    def source_dictionary(self) -> Dictionary:
        """Return the dictionary, which serves both sides."""
        return self.dictionary

    target_dictionary = source_dictionary

    def max_positions(self) -> tuple[int, int]:
        """Return the most tokens of source and target; longer ones were cut when read."""
        return self.cfg.max_source_positions, self.cfg.max_target_positions

    def languages(self, option: str) -> list[str]:
        """Return the tags that a task option lists. Raises LaftError for an unknown language."""
        return self.checked(getattr(self.cfg, option), flag(option))

    def checked(self, listed: str | None, option: str) -> list[str]:
        """Return a list of tags, split and checked. Raises LaftError for an unknown language."""
        tags = language_tags.split_tags(listed, option)
        for tag in tags:
            if tag not in self.tag_ids:
                reason = language_tags.unknown(option, tag, self.cfg.data, self.tags)
                raise LaftError(f"{reason}; {language_tags.NEVER_SEEN}")
        return tags

    def train_langs(self) -> list[str]:
        """Return the languages trained on, by default all of the dictionary's."""
        return self.languages("train_langs") or list(self.tags)

    def is_train_split(self, split: str, **kwargs: Any) -> bool:
        """Return whether ``split`` is loaded to train on.

        Among fairseq's ``kwargs`` of ``load_dataset``, ``task_cfg``, the checkpoint's options, says
        that a model is only used, so that ``--gen-lang`` decides.
        """
        if split != interpolated_or_default(self.cfg, "train_subset", "train"):
            return False
        return not (self.cfg.gen_lang and "task_cfg" in kwargs)

    def split_langs(self, train: bool) -> list[str]:
        """Return the languages to read: those trained on, or those generated in or validated on."""
        if train:
            return self.train_langs()
        return self.languages("gen_lang") or self.languages("valid_langs") or self.train_langs()

    def read(self, prefix: str, tag: str, limit: int) -> TaggedTexts:
        """Return the sentences of a language at ``prefix``, tagged and cut to ``limit`` tokens."""
        raw = load_texts(prefix, self.dictionary, tag)
        return TaggedTexts(raw, self.tag_ids[tag], limit, prefix, self.layout)

    def infilling(
        self, tag: str, split: str, longest: int, noise: Any, fixed: bool
    ) -> InfillingDataset:
        """Return a language's sentences of a split with stage 1's noise, by its options ``noise``.

        The noise is the same in all epochs if ``fixed``. Sentences are cut to ``longest`` tokens,
        and to what these options and the model allow.
        """
        limit = min(noise.tokens_per_sample, *self.max_positions(), longest)
        texts = self.read(os.path.join(self.cfg.data, tag, split), tag, limit)
        return InfillingDataset(
            texts, self.dictionary, tag, seed=self.cfg.seed, fixed=fixed, mask=noise.mask,
            poisson_lambda=noise.poisson_lambda,
        )  # fmt: skip

    def longest(self, train: bool, rows: int = 1, **kwargs: Any) -> int:
        """Return the most tokens of a row that fit into a batch, to which training cuts it.

        fairseq would leave longer ones out of training, and fail at them in validation. Where a
        model is only used, nothing is cut to fit a batch: see :func:`refuse_longer`.

        ``rows`` are the fewest rows of a batch; ``kwargs`` are as in :meth:`is_train_split`.
        """
        name = "max_tokens" if train else "max_tokens_valid"
        most = None if "task_cfg" in kwargs else interpolated_or_default(self.cfg, name, None)
        return sys.maxsize if most is None else int(most) // rows

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model, with backbone, components and adapters where training begins.

        Examples are cut to the positions that the model then has, whatever the options say.
        """
        model = super().build_model(cfg, from_checkpoint)
        if isinstance(model, LAFTMBart) and not from_checkpoint:
            if os.pathsep in self.cfg.data:
                raise LaftError(
                    f"{self.cfg.data}: fairseq splits paths at {os.pathsep!r}, and the laft tasks "
                    "train on one folder; rename it"
                )
            warn_of_unused(model.args)
            model.start(self.train_langs())
        source, target = model.max_positions()
        self.cfg.max_source_positions = min(self.cfg.max_source_positions, source)
        self.cfg.max_target_positions = min(self.cfg.max_target_positions, target)
        return model

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the criterion, for fairseq-validate with the parameters that it was trained to."""
        if cfg is None:
            raise LaftError(f"{self.checkpoint}: records no criterion to validate with")
        criterion = super().build_criterion(cfg, from_checkpoint)
        if utils.has_parameters(criterion) and Path(self.checkpoint).is_file():
            state = read_checkpoint(self.checkpoint, mmap=True).get("criterion")
            state = None if state is None else checked_tensors(state, self.checkpoint)
            try:
                criterion.load_state_dict(state)
            except RuntimeError as error:
                reason = in_one_line(error)
                raise LaftError(
                    f"{self.checkpoint}: its criterion does not fit ({reason})"
                ) from None
        return criterion

    def get_batch_iterator(self, dataset: Any, max_tokens: int | None = None, **kwargs: Any) -> Any:
        """Return batches of all examples, made again each epoch, alike in a resumed run.

        fairseq would drop examples that are too long, or fail at them, and drop a last batch whose
        size is no multiple of 8.
        """
        checks_itself = isinstance(dataset, AdversarialRows)
        if max_tokens is not None and len(dataset) and not checks_itself:
            refuse_longer(dataset, max_tokens)
        kwargs["max_positions"] = None  # all were cut to them
        kwargs["required_batch_size_multiple"] = 1
        kwargs["disable_iterator_cache"] = True
        if not kwargs.get("num_workers"):
            # fairseq would read ahead in a thread, where noise seeds torch and disturbs dropout.
            kwargs["data_buffer_size"] = 0
        batches = super().get_batch_iterator(dataset, max_tokens, **kwargs)
        rank_consistency.check_sharing(batches)
        rank_consistency.resume_across_world_sizes(batches)
        return batches

    def begin_epoch(self, epoch: int, model: Any) -> None:
        """Check that all processes have one model; at the first epoch, warn of untrained parts."""
        super().begin_epoch(epoch, model)
        rank_consistency.expect_same_model(model)
        laft_model = laft_model_in(model)
        if laft_model is None or self.has_begun:
            return
        self.has_begun = True
        self.warned |= laft_model.untrained_tags()
        self._check_start(laft_model)
        parts = describe_parts(laft_model.never_trained())
        if parts and rank_consistency.is_rank_zero():
            remarks.warn(
                logger,
                f"trained neither here nor before: {parts}; train them in stage 1, with their "
                "languages among its --train-langs, and pass its checkpoint by "
                "--finetune-from-model",
            )

    def _check_start(self, model: LAFTMBart) -> None:
        """Warn where a training has begun with random weights, unless it makes a backbone.

        Raises:
            LaftError: components are removed from what no encoder has learned.
        """
        is_backbone = model.options.method == "mbart_full" and self.stage == "denoising"
        if model.fingerprint or model.is_loaded or is_backbone:
            return
        reason = (
            f"--method {model.options.method}: there is no --backbone and no checkpoint to start "
            "from, so that the encoder's weights are random; give --backbone, or stage 1's "
            "checkpoint by --finetune-from-model"
        )
        if model.encoder.needs_components:
            raise LaftError(reason)
        if rank_consistency.is_rank_zero():
            remarks.warn(logger, reason)

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int,
        ignore_grad: bool = False,
    ) -> Any:  # fmt: skip
        """Run forward, in bf16 where the processor has it (precision.py), and backward.

        Under ``--amp`` fairseq does. With ``ignore_grad``, for a process that has no batch left
        where others have, all results are zero.
        """
        if isinstance(optimizer, AMPOptimizer):
            loss, sample_size, logging_output = super().train_step(
                sample, model, criterion, optimizer, update_num, ignore_grad
            )
        else:
            model.train()
            model.set_num_updates(update_num)
            with autocast(model, self.cfg.autocast, self.casts):
                loss, sample_size, logging_output = criterion(model, sample)
                loss = loss * 0 if ignore_grad else loss
            optimizer.backward(loss)
        if ignore_grad:
            sample_size = sample_size * 0
            logging_output = {name: value * 0 for name, value in logging_output.items()}
        return loss, sample_size, logging_output

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        """Run the criterion without gradients, in training's precision."""
        with autocast(model, self.cfg.autocast, self.casts):
            return super().valid_step(sample, model, criterion)
