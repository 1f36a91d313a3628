"""Generation, in both stages: each example in its own language, and no tag is ever written."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from fairseq import utils
from fairseq.data import Dictionary, ListDataset
from fairseq.search import DiverseBeamSearch
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
from laft_fairseq.training.precision import speed_up, to_half

logger = logging.getLogger(__name__)

SHORTEST_SOURCE = 3  # tokens: one of the text, </s> and the tag
# The least and the most of each option. A score is divided by length ** lenpen in fp32.
LIMITS: dict[str, tuple[float, float]] = {
    "beam": (1, 1000),
    "nbest": (1, 1000),
    "lenpen": (-10, 10),
    "temperature": (1e-3, 1e3),
    "max_len_a": (0, 1e3),
    "max_len_b": (0, 1e6),
    "min_len": (0, math.inf),
    "no_repeat_ngram_size": (0, math.inf),
    "prefix_size": (0, math.inf),
    "sampling_topk": (1, math.inf),
    "sampling_topp": (1e-3, 1),
    "diverse_beam_groups": (1, 1000),
    "max_tokens": (1, math.inf),
    "batch_size": (1, math.inf),
}
OFF = -1  # what fairseq gives these three where they are not asked for
OPTIONAL = ("sampling_topk", "sampling_topp", "diverse_beam_groups")


def check_search(options: Mapping[str, Any]) -> None:
    """Refuse options of a search, under fairseq-generate's names, with which none is made.

    Raises:
        LaftError: one is not a finite number or out of its range, or two do not go together.
    """
    for name, value in options.items():
        if not isinstance(value, int | float) or (name in OPTIONAL and value == OFF):
            continue
        option = f"--{name.replace('_', '-')} {value}"
        if not math.isfinite(value):
            raise LaftError(f"{option}: not a finite number")
        least, most = LIMITS.get(name, (-math.inf, math.inf))
        if value < least:
            raise LaftError(f"{option}: at least {least:g}")
        if value > most:
            raise LaftError(f"{option}: at most {most:g}")
    if options.get("nbest", 1) > options.get("beam", math.inf):
        raise LaftError(f"--nbest {options['nbest']}: at most --beam {options['beam']}")
    if "max_len_b" in options and not options.get("match_source_len"):
        min_len = options.get("min_len", 1)
        shortest = int(options.get("max_len_a", 0) * SHORTEST_SOURCE + options["max_len_b"])
        if shortest < max(1, min_len):
            raise LaftError(
                f"--max-len-b {options['max_len_b']}: outputs of at most {shortest} tokens, "
                f"but --min-len {min_len}"
            )
    _check_kind(options)


def _check_kind(options: Mapping[str, Any]) -> None:
    """Refuse searches that fairseq does not combine, or of which it would ignore one.

    Raises:
        LaftError: names the options.
    """
    top_k, top_p, groups = (options.get(name, OFF) for name in OPTIONAL)
    beam, sampling = options.get("beam", 5), options.get("sampling")
    for kinds in (
        {"--sampling": sampling, "--diverse-beam-groups": groups != OFF,
         "--constraints": options.get("constraints")},
        {"--prefix": options.get("prefix"), "--constraints": options.get("constraints")},
        {"--sampling-topk": top_k != OFF, "--sampling-topp": top_p != OFF},
    ):  # fmt: skip
        given = [name for name, value in kinds.items() if value]
        if len(given) > 1:
            raise LaftError(f"{given[0]} and {given[1]}: cannot be combined; leave one of them out")
    for option, value in (("topk", top_k), ("topp", top_p)):
        if value != OFF and not sampling:
            raise LaftError(f"--sampling-{option} {value}: needs --sampling")
    if sampling and options.get("nbest", beam) != beam:
        raise LaftError(
            f"--sampling: draws --beam {beam} outputs of each text, so that --nbest must be {beam} "
            "too; --beam 1 draws one"
        )
    if groups != OFF and beam % groups:
        raise LaftError(f"--diverse-beam-groups {groups}: must divide --beam {beam}")


class Decoding:
    """Mixin of a fairseq task with the attributes below."""

    cfg: Any
    checkpoint: str  # the model's file, where it is not trained
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
        """Build a search that ends on ``</s>`` and writes no tag, ``<mask>``, ``<s>`` or unk.

        With ``--half`` models that are in eval are converted to half precision.

        Raises:
            LaftError: options that no search is made with.
        """
        check_search(args if isinstance(args, Mapping) else vars(args))
        if getattr(args, "print_alignment", None):
            raise LaftError("--print-alignment: attention weights are not computed; leave it out")
        for model in models:
            speed_up(model)
            if getattr(self.cfg, "half", False) and not model.training:
                to_half(model)
        args = copy.copy(args)
        args.unkpen = math.inf
        symbols = [language_tags.symbol(tag) for tag in self.tags]
        extra = dict(extra_gen_cls_kwargs or {})
        extra["tokens_to_suppress"] = (*symbols, MASK, "<s>")
        extra["symbols_to_strip_from_output"] = set(self.tag_ids.values())
        if getattr(args, "sampling_topk", OFF) > len(self.dictionary):
            raise LaftError(
                f"--sampling-topk {args.sampling_topk}: the dictionary has {len(self.dictionary)} "
                "entries"
            )
        generator = super().build_generator(models, args, seq_gen_cls, extra, **kwargs)  # type: ignore[misc]
        if not hasattr(generator, "beam_size"):  # it scores given references
            generator.symbols_to_strip_from_output |= set(self.tag_ids.values())
            return generator
        improve_search(generator, self.checkpoint)
        generator.max_len -= self.layout.lead  # positions that the search does not count
        if generator.min_len > generator.max_len - 1:
            raise LaftError(
                f"--min-len {generator.min_len}: the model writes at most "
                f"{generator.max_len - 1} tokens"
            )
        set_beam(models, 1)
        return generator

    def build_bpe(self, args: Any) -> Any:
        """Build the subword model; refuse a file that is not there."""
        path = getattr(args, "sentencepiece_model", None)
        if path is not None and not Path(path).is_file():
            raise LaftError(f"--sentencepiece-model {path}: no such file")
        return super().build_bpe(args)  # type: ignore[misc]

    def inference_step(
        self, generator: Any, models: Any, sample: Any, prefix_tokens: Any = None,
        constraints: Any = None,
    ) -> Any:  # fmt: skip
        """Generate each example in its own language: the search begins with the source's tag.

        The decoder adds what its input has before the tag, so that in both layouts hypotheses,
        scores and lengths are those of the output and ``</s>`` alone. The output of an empty text
        is empty, with the score 0.

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
        if not hasattr(generator, "beam_size"):
            return generator.generate(models, self._without_tags(sample))
        has_text = tags.text_mask(tokens).any(1)  # (B,)
        if not has_text.all():
            rest = _rows((sample, prefix_tokens, constraints), has_text)
            outputs = self.inference_step(generator, models, *rest) if has_text.any() else []
            searched = iter(outputs)
            empty = [_empty_hypothesis(generator.eos, tokens)] * generator.beam_size
            return [next(searched) if full else list(empty) for full in has_text.tolist()]
        if prefix_tokens is not None:
            prefix_tokens = prefix_tokens[:, self.layout.lead :]  # the tag is the search's own
        if isinstance(generator.search, DiverseBeamSearch):
            # It takes the examples' numbers in the data set for their places in the batch.
            sample = {**sample, "id": torch.arange(len(tokens), device=tokens.device)}
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
        except AssertionError:
            if constraints is None:
                raise
            raise LaftError(
                "--constraints: no output was found that holds them; allow longer ones by "
                "--max-len-b, or n-grams to repeat"
            ) from None
        finally:
            set_beam(models, 1)

    def _without_tags(self, sample: Any) -> Any:
        """Return a batch whose references are scored without their tags, as outputs are.

        Raises:
            LaftError: it has no references.
        """
        target: Tensor | None = sample.get("target")
        if target is None:
            raise LaftError("--score-reference: there are no references to score")
        is_tag = torch.isin(target, target.new_tensor(list(self.tag_ids.values())))  # (B, T)
        target = target.masked_fill(is_tag, self.dictionary.pad())
        return {**sample, "target": target, "start_indices": [self.layout.lead] * len(target)}

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
    training and validation as well. So it is set for each search, and 1 otherwise. With it fairseq
    puts a method of the encoder on the encoder, a cycle that would keep a dropped model in memory.
    """
    for model in models:
        model.set_beam_size(size)
        if size == 1:
            vars(model.encoder).pop("reorder_encoder_out", None)


def _rows(values: Any, chosen: Tensor) -> Any:
    """Return the ``chosen``, (B,) bool, rows of each tensor in nested ``values``."""
    return utils.apply_to_sample(lambda tensor: tensor[chosen], values)


def _empty_hypothesis(eos: int, like: Tensor) -> dict[str, Tensor]:
    """Return the hypothesis ``</s>`` of score 0, in the form of fairseq's."""
    zero = torch.zeros(1, device=like.device)
    none = torch.empty(0)
    return {"tokens": like.new_tensor([eos]), "score": zero[0], "attention": none,
            "alignment": none, "positional_scores": zero}  # fmt: skip
