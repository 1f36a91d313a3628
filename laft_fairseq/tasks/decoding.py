"""Generation, in both stages: each example in its own language, and no tag is ever written."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from fairseq.data import Dictionary, ListDataset
from torch import Tensor

from laft_fairseq.data.tagged_texts import TaggedPairDataset, TaggedTexts
from laft_fairseq.errors import LaftError
from laft_fairseq.languages import tags as language_tags
from laft_fairseq.languages.byte_fallback import check_input
from laft_fairseq.languages.dictionary import MASK
from laft_fairseq.languages.language_ids import LanguageTags
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.beam_search import improve_search

logger = logging.getLogger(__name__)


class Decoding:
    """Mixin of a fairseq task with the attributes below."""

    cfg: Any
    dictionary: Dictionary
    tags: list[str]
    tag_ids: dict[str, int]
    layout: TagLayout
    warned: set[str]  # languages that a warning has named
    languages: Callable[[str], list[str]]  # of a task option

    def build_generator(
        self, models: Any, args: Any, seq_gen_cls: Any = None,
        extra_gen_cls_kwargs: dict[str, Any] | None = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Build a search that ends on ``</s>`` and writes no tag, ``<mask>``, ``<s>`` or unk."""
        if getattr(args, "print_alignment", None):
            raise LaftError("--print-alignment: attention weights are not computed; leave it out")
        args = copy.copy(args)
        args.unkpen = math.inf
        symbols = [language_tags.symbol(tag) for tag in self.tags]
        extra = dict(extra_gen_cls_kwargs or {})
        extra["tokens_to_suppress"] = (*symbols, MASK, "<s>")
        extra["symbols_to_strip_from_output"] = set(self.tag_ids.values())
        generator = super().build_generator(models, args, seq_gen_cls, extra, **kwargs)  # type: ignore[misc]
        improve_search(generator)
        if hasattr(generator, "max_len"):
            generator.max_len -= self.layout.lead  # positions that the search does not count
        set_beam(models, 1)
        return generator

    def inference_step(
        self, generator: Any, models: Any, sample: Any, prefix_tokens: Any = None,
        constraints: Any = None,
    ) -> Any:  # fmt: skip
        """Generate each example in its own language: the search begins with the source's tag.

        The decoder adds what its input has before the tag, so that in both layouts hypotheses,
        scores and lengths are those of the output and ``</s>`` alone.

        Args:
            generator: of :meth:`build_generator`.
            models: one or more.
            sample: a batch. Its ``net_input`` may hold ``output_language``, (B,) index of the
                language to write in instead, which the encoder reads too.
            prefix_tokens: (B, t) first tokens of the targets, forced after the tag.
            constraints: fairseq's.
        """
        tokens: Tensor = sample["net_input"]["src_tokens"]
        tags: LanguageTags = models[0].encoder.language_tags
        token_ids = torch.tensor(tags.token_ids, device=tokens.device)
        languages = sample["net_input"].get("output_language")  # (B,) or None
        languages = tags.of_source(tokens) if languages is None else languages  # (B,)
        self._warn_of_untrained_parts(models, languages)
        if not hasattr(generator, "beam_size"):  # it scores given references
            return generator.generate(models, sample)
        if prefix_tokens is not None:
            prefix_tokens = prefix_tokens[:, self.layout.lead :]  # the tag is the search's own
        set_beam(models, generator.beam_size)
        try:
            with torch.no_grad():
                return generator.generate(
                    models,
                    sample,
                    prefix_tokens=prefix_tokens,
                    constraints=constraints,
                    bos_token=token_ids[languages].repeat_interleave(generator.beam_size),
                )
        finally:
            set_beam(models, 1)

    def _warn_of_untrained_parts(self, models: Any, languages: Tensor) -> None:
        """Warn once of each of the (B,) ``languages`` whose own parts were never trained."""
        tags = {self.tags[index] for index in torch.unique(languages).tolist()}
        for model in models:
            untrained = model.untrained_tags() if isinstance(model, LAFTMBart) else set()
            for tag in (untrained - self.warned) & tags:
                self.warned.add(tag)
                logger.warning(
                    "the adapter or the tag of %s was never trained: train stage 1 with %s among "
                    "--train-langs, and stage 2 from its checkpoint",
                    tag,
                    tag,
                )

    def build_dataset_for_inference(
        self, src_tokens: list[Tensor], src_lengths: list[int], constraints: Any = None
    ) -> Any:
        """Return the data set of fairseq-interactive's raw input, in ``--gen-lang``."""
        tags = self.languages("gen_lang")
        if len(tags) != 1:
            raise LaftError("--gen-lang: name the one language of the input, such as fr_XX")
        tag = tags[0]
        subwords = [self.dictionary[token] for text in src_tokens for token in text[:-1].tolist()]
        warning = check_input(subwords, tag)
        if warning and "subwords" not in self.warned:
            self.warned.add("subwords")
            logger.warning("%s", warning)
        raw = ListDataset(src_tokens, [len(tokens) for tokens in src_tokens])
        name = f"input in {tag}"
        limit = self.cfg.max_source_positions
        source = TaggedTexts(raw, self.tag_ids[tag], limit, name, self.layout)
        return TaggedPairDataset(
            source, None, self.dictionary, shuffle=False, constraints=constraints
        )


def set_beam(models: Any, size: int) -> None:
    """Set how many rows of a batch share a source in the decoders.

    fairseq sets it once, when a generator is built, and cross-attention would then skip sources in
    training and validation as well. So it is set for each search, and 1 otherwise.
    """
    for model in models:
        model.set_beam_size(size)
