"""Beam search over raw texts in batches.

Everything that decides an output is shared with ``fairseq-generate``: the task lays out the input,
builds the search and runs it, in fp32; sentencepiece stands before and after.
"""

from __future__ import annotations

import logging
import math
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from fairseq import utils
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_generation import LaftGeneration

logger = logging.getLogger(__name__)

SHORTEST_SOURCE = 3  # one token, </s> and the tag


@dataclass(frozen=True)
class Search:
    """How outputs are searched and batched; the names are fairseq-generate's.

    Attributes:
        beam: hypotheses kept at each step.
        lenpen: scores are log-probabilities over length ** lenpen (1.5: the paper's for summaries).
        nbest: hypotheses given for each text, at most ``beam``.
        max_len_a, max_len_b: no output is longer than a * source + b tokens. Where a is not 0, the
            texts of a batch have one length, so that a text's limit is its own.
        min_len: shortest output in tokens, ``</s>`` not counted.
        no_repeat_ngram_size: no n-gram of this many tokens twice in an output; 0: allowed.
        max_tokens, batch_size: largest batch, in tokens with the padding and in texts. Neither
            changes an output.
    """

    beam: int = 5
    lenpen: float = 1.5
    nbest: int = 1
    max_len_a: float = 0.0
    max_len_b: int = 200
    min_len: int = 1
    no_repeat_ngram_size: int = 0
    max_tokens: int = 8192
    batch_size: int = 32

    def __post_init__(self) -> None:
        for name in ("lenpen", "max_len_a"):
            if not math.isfinite(getattr(self, name)):
                raise LaftError(f"--{name.replace('_', '-')} {getattr(self, name)}: no number")
        for name in ("beam", "nbest", "max_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise LaftError(f"--{name.replace('_', '-')} {getattr(self, name)}: at least 1")
        for name in ("max_len_a", "max_len_b", "min_len", "no_repeat_ngram_size"):
            if getattr(self, name) < 0:
                raise LaftError(f"--{name.replace('_', '-')} {getattr(self, name)}: is negative")
        if self.nbest > self.beam:
            raise LaftError(
                f"--nbest {self.nbest}: --beam {self.beam} has no more than {self.beam}"
            )
        shortest = int(self.max_len_a * SHORTEST_SOURCE + self.max_len_b)
        if shortest < max(1, self.min_len):
            raise LaftError(
                f"--max-len-b {self.max_len_b}: outputs of at most {shortest} tokens, "
                f"but --min-len {self.min_len}"
            )


@dataclass(frozen=True)
class Hypothesis:
    """An output and its score.

    The score is the log2-probability over length ** lenpen, as on fairseq-generate's H- lines.
    """

    text: str
    score: float


class SearchRun:
    """Search over texts of ``lang`` into it, or into ``output``.

    The task's ``gen_lang`` is set here.
    """

    def __init__(
        self,
        model: LAFTMBart,
        task: LaftGeneration,
        pieces: SubwordTokenizer,
        options: Search,
        lang: str,
        output: str | None,
    ) -> None:
        self.model, self.task, self.pieces = model, task, pieces
        self.options, self.lang, self.output = options, lang, output
        names = ("beam", "lenpen", "max_len_a", "max_len_b", "min_len", "no_repeat_ngram_size")
        wanted = Namespace(**{name: getattr(options, name) for name in names})
        self.generator = self.task.build_generator([self.model], wanted)
        longest = self.generator.max_len - 1
        if options.min_len > longest:
            raise LaftError(
                f"--min-len {options.min_len}: the model writes at most {longest} tokens"
            )

    def outputs(self, texts: list[str], read: int) -> list[list[Hypothesis]]:
        """The hypotheses of each of ``texts``, before which ``read`` others came."""
        nbest = self.options.nbest
        encoded = [self.pieces.encode(text) for text in texts]
        found = [[Hypothesis("", 0.0)] * nbest for _ in texts]
        pairs = enumerate(zip(texts, encoded, strict=True))
        places = [place for place, (text, ids) in pairs if text.strip() and len(ids) > 1]
        if not places:
            return found
        self.task.cfg.gen_lang = self.lang
        chosen = [encoded[place] for place in places]
        inputs = self.task.build_dataset_for_inference(chosen, [len(ids) for ids in chosen])
        self._say_cut(chosen, inputs.src_sizes, [read + place + 1 for place in places])
        for rows in self._batches([int(size) for size in inputs.src_sizes]):
            batch = inputs.collater([inputs[row] for row in rows])
            hypotheses = self._searched(batch)
            for row, own in zip(batch["id"].tolist(), hypotheses, strict=True):
                kept = [self._hypothesis(h) for h in own[:nbest]]
                kept += [Hypothesis("", -math.inf)] * (nbest - len(kept))
                found[places[row]] = kept
        return found

    def _searched(self, batch: dict[str, Any]) -> Any:
        """The task's search on a batch, with the output's language beside its tokens."""
        batch = utils.apply_to_sample(self._on_device, batch)
        if self.output is not None:
            rows = batch["net_input"]["src_tokens"].size(0)
            index = self.model.tags.index(self.output)
            language = torch.full((rows,), index)  # (B,)
            batch["net_input"]["output_language"] = self._on_device(language)
        return self.task.inference_step(self.generator, [self.model], batch)

    def _on_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.model.encoder.embed_tokens.weight.device)

    def _hypothesis(self, found: dict[str, Any]) -> Hypothesis:
        ignored = self.generator.symbols_to_strip_from_output
        text = self.pieces.decode(found["tokens"].int().cpu(), ignored)
        return Hypothesis(text, float(found["score"]) / math.log(2))

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Rows, similar lengths together, longest first, so that too large a batch fails first."""
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
            longest = lengths[batch[0]] if batch else 0
            full = (len(batch) + 1) * longest > self.options.max_tokens
            alike = not self.options.max_len_a or lengths[row] == longest
            if batch and (full or len(batch) == self.options.batch_size or not alike):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    @staticmethod
    def _say_cut(texts: list[Tensor], sizes: Any, numbers: list[int]) -> None:
        """Name each text that was cut; ``sizes`` count the tag too."""
        for ids, size, number in zip(texts, sizes, numbers, strict=True):
            if len(ids) + 1 > size:
                logger.warning(
                    "input line %d: cut to the model's %d tokens (it has %d)",
                    number, size, len(ids) + 1,
                )  # fmt: skip
