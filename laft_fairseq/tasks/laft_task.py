"""What both stages share: the dictionary, precision, checks and generation."""

from __future__ import annotations

import copy
import math
import os
from pathlib import Path
from typing import Any, ClassVar

import torch
from fairseq import utils
from fairseq.data import Dictionary, ListDataset
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.tasks import FairseqTask
from torch import Tensor

from laft_fairseq import agreement, frozen_weights, language_tags, new_languages
from laft_fairseq.checkpoint_format import checked_tensors
from laft_fairseq.compat import read_checkpoint
from laft_fairseq.compat_distributed import refuse_lost_processes
from laft_fairseq.errors import LaftError
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.precision import autocast
from laft_fairseq.tasks import sharing
from laft_fairseq.tasks.beam_search import block_repeats, hasten
from laft_fairseq.tasks.ignored_options import warn_of_ignored
from laft_fairseq.tasks.text_data import Pairs, TaggedTexts


class LaftTask(FairseqTask):
    """Base of the two stages. A subclass names its ``stage`` (methods.py)."""

    stage: ClassVar[str]

    def __init__(self, cfg: Any, dictionary: Dictionary, tags: list[str]) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.tags = tags
        self.shard = ""  # of a generation, in words
        self.checkpoint = ""  # that the model was read from, where none is trained
        self.casts = frozen_weights.Casts()
        self.layout = language_tags.tag_layout(cfg.data, cfg.tag_layout)
        self.tag_ids = {tag: dictionary.index(language_tags.symbol(tag)) for tag in tags}

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> LaftTask:
        """Read dictionary and languages from the data directory."""
        refuse_lost_processes()
        if not Path(cfg.data).is_dir():
            raise LaftError(f"{cfg.data}: no such data directory")
        tags = language_tags.dictionary_tags(cfg.data, cfg.langs)
        new = new_languages.listed(cfg.data, cfg.new_langs, tags)
        dictionary = language_tags.load_dictionary(cfg.data, tags, new)
        return cls(cfg, dictionary, [*tags, *new])

    @property
    def source_dictionary(self) -> Dictionary:
        """One dictionary serves both sides."""
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        """The same."""
        return self.dictionary

    def max_positions(self) -> tuple[int, int]:
        """Longest source and target, in tokens; longer ones were cut when read."""
        return self.cfg.max_source_positions, self.cfg.max_target_positions

    def languages(self, option: str) -> list[str]:
        """The languages that a task option lists, each checked against the dictionary's."""
        return self.checked(getattr(self.cfg, option), "--" + option.replace("_", "-"))

    def checked(self, listed: str | None, option: str) -> list[str]:
        """Split and check a list of tags. Raises LaftError for an unknown language."""
        tags = language_tags.split_tags(listed)
        for tag in tags:
            if tag not in self.tag_ids:
                said = language_tags.unknown(option, tag, self.cfg.data, self.tags)
                raise LaftError(f"{said}; {language_tags.NEVER_SEEN}")
        return tags

    def train_langs(self) -> list[str]:
        """The languages trained on, by default all of the dictionary's."""
        return self.languages("train_langs") or list(self.tags)

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model; where no checkpoint follows, put in what training begins with.

        Texts are cut to the model's positions, whatever the options say; a backbone's position
        tables, of its own size, are in place by then.
        """
        model = super().build_model(cfg, from_checkpoint)
        if isinstance(model, LAFTMBart) and not from_checkpoint:
            refuse_several_folders(self.cfg.data)
            warn_of_ignored(model.args)
            model.start(self.train_langs())
        source, target = model.max_positions()
        self.cfg.max_source_positions = min(self.cfg.max_source_positions, source)
        self.cfg.max_target_positions = min(self.cfg.max_target_positions, target)
        return model

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the criterion, for fairseq-validate with what it had learnt in training."""
        if cfg is None:
            raise LaftError(f"{self.checkpoint}: records no criterion to validate with")
        criterion = super().build_criterion(cfg, from_checkpoint)
        if utils.has_parameters(criterion) and Path(self.checkpoint).is_file():
            state = read_checkpoint(self.checkpoint, mmap=True).get("criterion")
            state = None if state is None else checked_tensors(state, self.checkpoint)
            try:
                criterion.load_state_dict(state)
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:200]
                raise LaftError(
                    f"{self.checkpoint}: its criterion does not fit ({reason})"
                ) from None
        return criterion

    def get_batch_iterator(self, *args: Any, **kwargs: Any) -> Any:
        """fairseq drops a last batch whose size is no multiple of 8; here nothing is dropped.

        Batches are made anew each epoch, as they are in a run that is resumed there.
        """
        kwargs["required_batch_size_multiple"] = 1
        kwargs["disable_iterator_cache"] = True
        if not kwargs.get("num_workers"):
            # fairseq would read ahead in a thread, and the noise would seed torch under dropout.
            kwargs["data_buffer_size"] = 0
        batches = super().get_batch_iterator(*args, **kwargs)
        sharing.check_sharing(batches)
        sharing.keep_place(batches)
        self.shard = sharing.shard_words(batches)
        return batches

    def begin_epoch(self, epoch: int, model: Any) -> None:
        """Several processes have to go on from one model."""
        super().begin_epoch(epoch, model)
        agreement.expect_same_model(model)

    def train_step(
        self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int,
        ignore_grad: bool = False,
    ) -> Any:  # fmt: skip
        """Forward (in bf16 where it pays, see precision.py) and backward; --amp stays fairseq's.

        With ``ignore_grad`` (a process has no batch left where others have) all results are zero.
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
        """The criterion without gradients, in training's precision."""
        with autocast(model, self.cfg.autocast, self.casts):
            return super().valid_step(sample, model, criterion)

    def build_generator(
        self, models: Any, args: Any, seq_gen_cls: Any = None,
        extra_gen_cls_kwargs: dict[str, Any] | None = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Beam search that ends on ``</s>`` and never writes a tag, ``<mask>``, ``<s>`` or unk."""
        if getattr(args, "print_alignment", None):
            raise LaftError("--print-alignment: attention weights are not formed; leave it out")
        args = copy.copy(args)
        args.unkpen = math.inf
        symbols = [language_tags.symbol(tag) for tag in self.tags]
        extra = dict(extra_gen_cls_kwargs or {})
        extra["tokens_to_suppress"] = (*symbols, language_tags.MASK, "<s>")
        extra["symbols_to_strip_from_output"] = set(self.tag_ids.values())
        generator = super().build_generator(models, args, seq_gen_cls, extra, **kwargs)
        hasten(generator)
        block_repeats(generator)
        if hasattr(generator, "max_len"):
            generator.max_len -= self.layout.lead  # positions that the search does not see
        set_beam(models, 1)
        sharing.say_shard(self.shard, models)
        return generator

    def inference_step(
        self, generator: Any, models: Any, sample: Any, prefix_tokens: Any = None,
        constraints: Any = None,
    ) -> Any:  # fmt: skip
        """Generate, each row in its own language: the search begins with the source's tag.

        ``net_input`` may hold ``output_language``, (B,) index of another one to write in, which
        the encoder reads too.

        What the decoder's input has before the tag is the decoder's affair, so that in both
        layouts hypotheses, scores and lengths are those of the text and ``</s>`` alone.
        ``prefix_tokens``, (B, t) first tokens of targets, are forced after the tag.
        """
        tokens: Tensor = sample["net_input"]["src_tokens"]
        tags: language_tags.LanguageTags = models[0].encoder.language_tags
        token_ids = torch.tensor(tags.token_ids, device=tokens.device)
        languages = sample["net_input"].get("output_language")  # (B,), or None: the source's own
        first = token_ids[tags.of_source(tokens) if languages is None else languages]  # (B,)
        if not hasattr(generator, "beam_size"):  # the scorer of given references
            return generator.generate(models, sample)
        if prefix_tokens is not None:
            prefix_tokens = self.layout.text_start(prefix_tokens)
        set_beam(models, generator.beam_size)
        try:
            with torch.no_grad():
                return generator.generate(
                    models,
                    sample,
                    prefix_tokens=prefix_tokens,
                    constraints=constraints,
                    bos_token=first.repeat_interleave(generator.beam_size),
                )
        finally:
            set_beam(models, 1)

    def inference_language(self) -> str:
        """The language of raw text given to fairseq-interactive: ``--gen-lang``."""
        tags = self.languages("gen_lang")
        if len(tags) != 1:
            raise LaftError("--gen-lang: name the one language of the input, such as fr_XX")
        return tags[0]

    def build_dataset_for_inference(
        self, src_tokens: list[Tensor], src_lengths: list[int], constraints: Any = None
    ) -> Any:
        """Raw input of ``--gen-lang`` for fairseq-interactive."""
        tag = self.inference_language()
        raw = ListDataset(src_tokens, [len(text) for text in src_tokens])
        name = f"input in {tag}"
        limit = self.cfg.max_source_positions
        texts = TaggedTexts(raw, self.tag_ids[tag], limit, name, self.layout)
        return Pairs(texts, None, self.dictionary, shuffle=False, constraints=constraints)


def set_beam(models: Any, size: int) -> None:
    """Tell the decoders how many rows of a batch share a source.

    fairseq sets it once, when a generator is built, and cross-attention then skips sources in
    training and validation as well; so it is set around each search, and 1 otherwise.
    """
    for model in models:
        model.set_beam_size(size)


def refuse_several_folders(data: str) -> None:
    """Refuse to train on a path that fairseq's trainer would take for several folders.

    Raises:
        LaftError: names the path.
    """
    if os.pathsep in data:
        raise LaftError(
            f"{data}: fairseq takes {os.pathsep!r} for the end of a folder's name, and the laft "
            "tasks train on one folder; rename it"
        )
