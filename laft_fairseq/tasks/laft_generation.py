"""Stage 2 (§3.3): task finetuning on annotated pairs, and zero-shot generation afterwards.

fairseq reads the fields' types at run time, so this module keeps plain annotations.
"""

import logging
import os
from argparse import Namespace
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Optional

import torch
from fairseq.dataclass import ChoiceEnum
from fairseq.logging import metrics
from fairseq.tasks import register_task

from laft_fairseq.errors import LaftError
from laft_fairseq.models.cached_encoding import encoder_name
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.precision import wants_bf16
from laft_fairseq.scoring.fairseq_log import join_pieces
from laft_fairseq.scoring.rouge import PROTOCOLS, rouge_items
from laft_fairseq.scoring.tokenizers import tokenizer
from laft_fairseq.tasks.adversarial_batches import TARGET_ROWS, AdversarialRows
from laft_fairseq.tasks.laft_task import LaftTask
from laft_fairseq.tasks.options import LaftTaskOptions
from laft_fairseq.tasks.text_data import Mixed, Pairs, TaggedTexts, load_texts

logger = logging.getLogger(__name__)


@dataclass
class LaftGenerationOptions(LaftTaskOptions):
    """Validation by generated text, and the target rows of TM + adv."""

    eval_rouge: bool = field(
        default=False, metadata={"help": "generate in validation and report ROUGE-L a language"}
    )
    eval_rouge_beam: int = field(default=5, metadata={"help": "its beam"})
    eval_rouge_lenpen: float = field(default=1.5, metadata={"help": "its length penalty"})
    eval_rouge_max_len: int = field(default=64, metadata={"help": "its longest output in tokens"})
    eval_rouge_protocol: ChoiceEnum(list(PROTOCOLS)) = field(  # type: ignore[valid-type]
        default="unicode", metadata={"help": "as laft score's"}
    )
    target_langs: Optional[str] = field(
        default=None,
        metadata={"help": "languages of the target rows, for --criterion laft_adversarial"},
    )
    target_rows: ChoiceEnum(list(TARGET_ROWS)) = field(  # type: ignore[valid-type]
        default="monolingual",
        metadata={"help": "text of <tag>/train (zero-shot) or its pairs (translate-train)"},
    )
    target_per_source: int = field(
        default=1, metadata={"help": "target rows to each annotated row, in every batch"}
    )
    encoder_cache: Optional[str] = field(
        default=None,
        metadata={"help": "folder that keeps a frozen encoder's output (bf16) between epochs"},
    )
    encoder_cache_gb: float = field(
        default=20.0, metadata={"help": "the most that the folder takes; other texts are not kept"}
    )
    reconstruct_target: bool = field(
        default=False, metadata={"help": "monolingual target rows are to be written out again"}
    )


@register_task("laft_generation", dataclass=LaftGenerationOptions)
class LaftGeneration(LaftTask):
    """Pairs, ``data-bin/<tag>/<split>.src-tgt.{src,tgt}.{bin,idx}``, of one or more languages."""

    stage = "generation"
    caching = False

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        """The pairs of the split's languages, each batch free to mix them."""
        train = split == "train"
        tags = self.train_langs() if train else self._evaluated_langs(split)
        parts = [self._pairs(tag, split, shuffle=train) for tag in tags]
        self.datasets[split] = Mixed(parts, shuffle=train)
        if train and self.target_langs():
            self.datasets[split] = self._with_target_rows(self.datasets[split], split)
        elif train:
            self._refuse_options_of_target_rows()

    def target_langs(self) -> list[str]:
        """Languages of TM + adv's target rows; none in other runs.

        Raises:
            LaftError: unknown, or one that is annotated too.
        """
        tags = self.languages("target_langs")
        both = [tag for tag in tags if tag in self.train_langs()]
        if both:
            raise LaftError(
                f"--target-langs: {both[0]} is among the annotated languages too; name those by "
                "--train-langs, such as en_XX"
            )
        return tags

    def _refuse_options_of_target_rows(self) -> None:
        """Without --target-langs these would change nothing."""
        for name in ("target_rows", "target_per_source", "reconstruct_target"):
            if getattr(self.cfg, name) != getattr(LaftGenerationOptions, name):
                option = "--" + name.replace("_", "-")
                raise LaftError(f"{option}: needs --target-langs, such as fr_XX,zh_CN")

    def _with_target_rows(self, sources: Mixed, split: str) -> AdversarialRows:
        if self.cfg.reconstruct_target and self.cfg.target_rows == "pairs":
            raise LaftError("--reconstruct-target: is for --target-rows monolingual")
        monolingual = self.cfg.target_rows == "monolingual"
        read = self._texts if monolingual else partial(self._pairs, shuffle=True)
        targets = Mixed([read(tag, split) for tag in self.target_langs()], shuffle=True)
        each, pad = self.cfg.target_per_source, self.dictionary.pad()
        rows = AdversarialRows(sources, targets, each, self.cfg.seed, pad)
        logger.info(
            "%d annotated rows with %d target rows each an epoch, out of %d (%s of %s)",
            len(sources), each, len(targets), self.cfg.target_rows, ", ".join(self.target_langs()),
        )  # fmt: skip
        return rows

    def _texts(self, tag: str, split: str) -> Pairs:
        """Monolingual texts without a target, or with themselves as one."""
        prefix = os.path.join(self.cfg.data, tag, split)
        texts = load_texts(prefix, self.dictionary, tag)
        tag_id, target = self.tag_ids[tag], None
        source = TaggedTexts(texts, tag_id, self.cfg.max_source_positions, prefix, self.layout)
        if self.cfg.reconstruct_target:
            target = TaggedTexts(texts, tag_id, self.cfg.max_target_positions, prefix, self.layout)
        return Pairs(source, target, self.dictionary, shuffle=True)

    def _evaluated_langs(self, split: str) -> list[str]:
        if split.startswith("valid"):
            return self.languages("valid_langs") or self.train_langs()
        return self.languages("gen_lang") or self.languages("valid_langs") or self.train_langs()

    def _pairs(self, tag: str, split: str, *, shuffle: bool) -> Pairs:
        prefix = os.path.join(self.cfg.data, tag, f"{split}.src-tgt.")
        sides = []
        for side, limit in (
            ("src", self.cfg.max_source_positions),
            ("tgt", self.cfg.max_target_positions),
        ):
            texts = load_texts(prefix + side, self.dictionary, tag)
            name, tag_id = prefix + side, self.tag_ids[tag]
            sides.append(TaggedTexts(texts, tag_id, limit, name, self.layout))
        source, target = sides
        if len(source) != len(target):
            raise LaftError(
                f"{prefix}src has {len(source)} texts but {prefix}tgt has {len(target)} "
                f"(language {tag}); binarise them again from files of one length"
            )
        return Pairs(source, target, self.dictionary, shuffle=shuffle)

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model, and the generator that validation uses."""
        model = super().build_model(cfg, from_checkpoint)
        if isinstance(model, LAFTMBart):
            self.method = str(model.options.method)
            self.width = int(model.encoder.embed_tokens.embedding_dim)
        if self.cfg.eval_rouge and not from_checkpoint:
            for tag in self._evaluated_langs("valid"):
                tokenizer(self.cfg.eval_rouge_protocol, tag)  # refused now, not after an epoch
            options = Namespace(
                beam=self.cfg.eval_rouge_beam,
                lenpen=self.cfg.eval_rouge_lenpen,
                max_len_a=0,
                max_len_b=self.cfg.eval_rouge_max_len,
            )
            self.validation_generator = self.build_generator([model], options)
        return model

    def train_step(self, sample: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """One update; before the first, --encoder-cache begins: the weights are in place now."""
        if self.cfg.encoder_cache and not self.caching:
            self.caching = True
            own = next(module for module in model.modules() if isinstance(module, LAFTMBart))
            limit = int(self.cfg.encoder_cache_gb * 1e9)
            weight = own.encoder.embed_tokens.weight
            bf16 = wants_bf16(weight, self.cfg.autocast)
            precision = "bf16-autocast" if bf16 else str(weight.dtype).removeprefix("torch.")
            own.encoder.use_cache(self.cfg.encoder_cache, limit, encoder_name(own), precision)
        return super().train_step(sample, model, *args, **kwargs)

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Refuse a criterion that would leave the target rows out."""
        criterion = super().build_criterion(cfg, from_checkpoint)
        if self.target_langs() and not getattr(criterion, "reads_target_rows", False):
            raise LaftError("--target-langs: only --criterion laft_adversarial reads target rows")
        return criterion

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        """Loss, and with ``--eval-rouge`` the sums of ROUGE-L for each language."""
        loss, sample_size, logging_output = super().valid_step(sample, model, criterion)
        if self.cfg.eval_rouge:
            logging_output.update(self._rouge_sums(sample, model))
        return loss, sample_size, logging_output

    def _rouge_sums(self, sample: Any, model: Any) -> dict[str, float]:
        """Sum of ROUGE-L (0 to 100) and number of texts for every language, absent ones too."""
        sums = {}
        for tag in self._evaluated_langs("valid"):
            sums[f"_rougeL_sum_{tag}"] = 0.0
            sums[f"_rougeL_count_{tag}"] = 0.0
        protocol = self.cfg.eval_rouge_protocol
        outputs = self.inference_step(self.validation_generator, [model], sample)
        languages = model.encoder.language_tags.of_source(sample["net_input"]["src_tokens"])
        for row, language in enumerate(languages.tolist()):
            tag = self.tags[language]
            hypothesis = self._text(outputs[row][0]["tokens"])
            reference = self._text(sample["target"][row])
            scores = rouge_items([hypothesis], [reference], tag, protocol, metrics=["rougeL"])
            sums[f"_rougeL_sum_{tag}"] += float(scores["rougeL"][0])
            sums[f"_rougeL_count_{tag}"] += 1
        return sums

    def _text(self, tokens: torch.Tensor) -> str:
        ignored = {self.dictionary.pad(), *self.tag_ids.values()}
        here = tokens.cpu()  # read one by one
        return join_pieces(self.dictionary.string(here, extra_symbols_to_ignore=ignored))

    def reduce_metrics(self, logging_outputs: Any, criterion: Any) -> None:
        """``rougeL_<tag>`` for each language, and ``rougeL``, their mean."""
        super().reduce_metrics(logging_outputs, criterion)
        if not self.cfg.eval_rouge or not any("_rougeL" in key for key in logging_outputs[0]):
            return
        tags = self._evaluated_langs("valid")
        for tag in tags:
            for kind in ("sum", "count"):
                key = f"_rougeL_{kind}_{tag}"
                total = sum(float(output.get(key, 0.0)) for output in logging_outputs)
                metrics.log_scalar_sum(key, total)
            metrics.log_derived(f"rougeL_{tag}", _MeanOf((tag,)))
        metrics.log_derived("rougeL", _MeanOf(tuple(tags)))


class _MeanOf:
    """The mean over languages of sum / count, from a dictionary of meters."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags = tags

    def __call__(self, meters: Any) -> float:
        means = [
            meters[f"_rougeL_sum_{tag}"].sum / max(1.0, meters[f"_rougeL_count_{tag}"].sum)
            for tag in self.tags
        ]
        return round(sum(means) / len(means), 3)
