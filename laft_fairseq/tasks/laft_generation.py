"""Stage 2 (section 3.3): task finetuning on annotated pairs, then zero-shot generation."""

import logging
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import register_task

from laft_fairseq.compat.options import option
from laft_fairseq.data.adversarial_batches import TARGET_ROWS, AdversarialRows
from laft_fairseq.data.denoising_mix import DenoisingMix
from laft_fairseq.data.tagged_texts import MultilingualDataset, TaggedPairDataset
from laft_fairseq.errors import LaftError, flag
from laft_fairseq.method.systems import find
from laft_fairseq.models.laft_mbart import LAFTMBart, laft_model_in
from laft_fairseq.scoring.tokenizers import PROTOCOLS
from laft_fairseq.tasks.laft_denoising import LaftDenoisingOptions
from laft_fairseq.tasks.laft_task import LaftTask
from laft_fairseq.tasks.options import LaftTaskOptions
from laft_fairseq.tasks.rouge_validation import RougeValidation
from laft_fairseq.training.encoder_cache import use_cache

logger = logging.getLogger(__name__)


@dataclass
class LaftGenerationOptions(LaftTaskOptions):
    """Options of validation by generated text, unlabelled text in batches and the encoder cache."""

    eval_rouge: bool = option(False, "generate in validation and report ROUGE-L for each language")
    eval_rouge_beam: int = option(5, "its beam")
    eval_rouge_lenpen: float = option(1.5, "its length penalty")
    eval_rouge_max_len: int = option(64, "its longest output in tokens")
    eval_rouge_protocol: ChoiceEnum(list(PROTOCOLS)) = option(  # type: ignore[valid-type]
        "unicode", "as laft score's"
    )
    target_langs: Optional[str] = option(
        None, "languages of the target rows, for --criterion laft_adversarial"
    )
    target_rows: ChoiceEnum(list(TARGET_ROWS)) = option(  # type: ignore[valid-type]
        "monolingual", "sentences of <tag>/train (zero-shot) or its pairs (translate-train)"
    )
    target_per_source: int = option(1, "target rows to each annotated row, in every batch")
    mix_denoising: float = option(
        0.0, "share of each batch's sentences that are unlabelled text to be denoised"
    )
    mix_langs: Optional[str] = option(
        None,
        "languages of that text (default: those of the data directory that have unlabelled text "
        "and are not trained on)",
    )
    encoder_cache: Optional[str] = option(
        None, "folder that keeps a frozen encoder's output (bf16) between epochs"
    )
    encoder_cache_gb: float = option(
        20.0, "the most that the folder takes; other examples are not kept"
    )
    reconstruct_target: bool = option(False, "monolingual target rows are to be reconstructed")


@register_task("laft_generation", dataclass=LaftGenerationOptions)
class LaftGeneration(LaftTask):
    """Pairs, ``data-bin/<tag>/<split>.src-tgt.{src,tgt}.{bin,idx}``, of one or more languages."""

    stage = "generation"
    caching = False

    @cached_property
    def rouge(self) -> RougeValidation:
        """Validation by generated text; a task without it is freed as soon as nobody holds it."""
        return RougeValidation(self)

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        """Load the pairs of the split's languages, which a batch may mix."""
        train = self.is_train_split(split, **kwargs)
        adversarial = train and bool(self.target_langs())
        rows = 1 + max(0, self.cfg.target_per_source) if adversarial else 1  # of an item
        longest = self.longest(train, rows, **kwargs)
        if rows > 1 and longest < max(self.max_positions()):
            logger.info(
                "%s: --max-tokens leaves %d tokens to a row, as a batch holds at least %d rows",
                split, longest, rows,
            )  # fmt: skip
        pairs = [self._pairs(tag, split, train, longest) for tag in self.split_langs(train)]
        self.datasets[split] = MultilingualDataset(pairs, shuffle=train)
        if train and self.cfg.mix_denoising:
            self.datasets[split] = self._with_denoising(pairs, split, longest)
        elif train and self.cfg.mix_langs:
            raise LaftError("--mix-langs: needs --mix-denoising, such as 0.1")
        if adversarial:
            self.datasets[split] = self._with_target_rows(self.datasets[split], split, longest)
        elif train:
            for name in ("target_rows", "target_per_source", "reconstruct_target"):
                if getattr(self.cfg, name) != getattr(LaftGenerationOptions, name):
                    raise LaftError(f"{flag(name)}: needs --target-langs, such as fr_XX,zh_CN")

    def target_langs(self) -> list[str]:
        """Return the languages of TM + adv's target rows; none in other runs.

        Raises:
            LaftError: a language is unknown, or annotated too.
        """
        tags = self.languages("target_langs")
        annotated = [tag for tag in tags if tag in self.train_langs()]
        if annotated:
            raise LaftError(
                f"--target-langs: {annotated[0]} is an annotated language too; name the annotated "
                "ones by --train-langs, such as en_XX"
            )
        return tags

    def mix_langs(self) -> list[str]:
        """Return the languages whose unlabelled text is mixed into batches.

        Raises:
            LaftError: there are none, or batches have target rows of TM + adv, unlabelled as well.
        """
        if self.target_langs():
            raise LaftError(
                "--mix-denoising: batches of TM + adv hold unlabelled target rows already; leave "
                "it out (--reconstruct-target trains on them as text)"
            )
        trained, data = self.train_langs(), self.cfg.data
        tags = self.languages("mix_langs") or [
            tag
            for tag in self.tags
            if tag not in trained and os.path.exists(os.path.join(data, tag, "train.idx"))
        ]
        if not tags:
            raise LaftError(
                f"--mix-denoising: {data} has no unlabelled text but of {', '.join(trained)}, "
                "which is trained on; binarise some of another language, or name --mix-langs"
            )
        return tags

    def _with_denoising(
        self, pairs: list[TaggedPairDataset], split: str, longest: int
    ) -> DenoisingMix:
        """Return pairs and, for the rest of each batch, text with stage 1's noise."""
        texts = [
            self.infilling(tag, split, longest, LaftDenoisingOptions, fixed=False)
            for tag in self.mix_langs()
        ]
        mixed = DenoisingMix(pairs, texts, self.cfg.mix_denoising, self.cfg.seed)
        logger.info(
            "an epoch: %d pairs, and %d sentences to be denoised out of %d (%s)",
            mixed.pairs, mixed.drawn, len(mixed) - mixed.pairs, ", ".join(self.mix_langs()),
        )  # fmt: skip
        return mixed

    def _with_target_rows(
        self, sources: MultilingualDataset, split: str, longest: int
    ) -> AdversarialRows:
        mono = self.cfg.target_rows == "monolingual"
        if self.cfg.reconstruct_target and not mono:
            raise LaftError("--reconstruct-target: needs --target-rows monolingual")
        parts = [
            self._monolingual(tag, split, longest)
            if mono
            else self._pairs(tag, split, True, longest)
            for tag in self.target_langs()
        ]
        targets = MultilingualDataset(parts, shuffle=True)
        each, pad = self.cfg.target_per_source, self.dictionary.pad()
        rows = AdversarialRows(sources, targets, each, self.cfg.seed, pad)
        logger.info(
            "an epoch: %d annotated rows, each with %d target rows out of %d (%s of %s)",
            len(sources), each, len(targets), self.cfg.target_rows, ", ".join(self.target_langs()),
        )  # fmt: skip
        return rows

    def _monolingual(self, tag: str, split: str, longest: int) -> TaggedPairDataset:
        """Return monolingual sentences without a target, or with themselves as the target."""
        prefix = os.path.join(self.cfg.data, tag, split)
        source = self.read(prefix, tag, min(self.cfg.max_source_positions, longest))
        target = None
        if self.cfg.reconstruct_target:
            target = self.read(prefix, tag, min(self.cfg.max_target_positions, longest))
        return TaggedPairDataset(source, target, self.dictionary, shuffle=True)

    def _pairs(self, tag: str, split: str, train: bool, longest: int) -> TaggedPairDataset:
        """Return a language's pairs, cut to ``longest`` tokens and to the model's positions."""
        prefix = os.path.join(self.cfg.data, tag, f"{split}.src-tgt.")
        source = self.read(f"{prefix}src", tag, min(self.cfg.max_source_positions, longest))
        target = self.read(f"{prefix}tgt", tag, min(self.cfg.max_target_positions, longest))
        if len(source) != len(target):
            raise LaftError(
                f"{prefix}src has {len(source)} lines but {prefix}tgt has {len(target)} "
                f"(language {tag}); binarise them again from files of one length"
            )
        return TaggedPairDataset(source, target, self.dictionary, shuffle=train)

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model, and refuse languages that validation cannot score."""
        model = super().build_model(cfg, from_checkpoint)
        if isinstance(model, LAFTMBart):
            self.method = str(model.options.method)
            self.width = int(model.encoder.embed_tokens.embedding_dim)
        if self.cfg.eval_rouge and not from_checkpoint:
            self.rouge.tags()
        return model

    def train_step(self, sample: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Make one update; before the first, with the weights loaded, set up --encoder-cache."""
        if self.cfg.encoder_cache and not self.caching:
            self.caching = True
            limit = int(self.cfg.encoder_cache_gb * 1e9)
            use_cache(laft_model_in(model), self.cfg.encoder_cache, limit, self.cfg.autocast)
        return super().train_step(sample, model, *args, **kwargs)

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the criterion; refuse one that would ignore the target rows or the adversary."""
        criterion = super().build_criterion(cfg, from_checkpoint)
        if getattr(criterion, "reads_target_rows", False):
            return criterion
        if self.target_langs():
            raise LaftError("--target-langs: only --criterion laft_adversarial reads target rows")
        method = getattr(self, "method", None)  # of --arch laft_mbart* alone
        if method is not None and "gate" in find(method).modules:
            raise LaftError(
                f"--method {method}: needs its adversary; add "
                "--criterion laft_adversarial --target-langs, such as fr_XX,zh_CN"
            )
        return criterion

    def valid_step(self, sample: Any, model: Any, criterion: Any) -> Any:
        """Return the criterion's results, with ``--eval-rouge`` also the sums of ROUGE-L."""
        loss, sample_size, logging_output = super().valid_step(sample, model, criterion)
        if self.cfg.eval_rouge:
            logging_output.update(self.rouge.sums(sample, model))
        return loss, sample_size, logging_output

    def reduce_metrics(self, logging_outputs: Any, criterion: Any) -> None:
        """Log the criterion's metrics and each language's ROUGE-L (rouge_validation.py)."""
        super().reduce_metrics(logging_outputs, criterion)
        if self.cfg.eval_rouge:
            self.rouge.reduce(logging_outputs)
