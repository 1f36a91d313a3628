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

from fairseq import utils

from laft_fairseq.errors import LaftError
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.laft_generation import LaftGeneration

logger = logging.getLogger(__name__)

SHORTEST_SOURCE = 3  # one token, </s> and the tag
LEAST = {"beam": 1, "nbest": 1, "max_tokens": 1, "batch_size": 1, "max_len_a": 0, "max_len_b": 0,
         "min_len": 0, "no_repeat_ngram_size": 0}  # fmt: skip


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
        for name, value in vars(self).items():
            flag = f"--{name.replace('_', '-')} {value}"
            if not math.isfinite(value):
                raise LaftError(f"{flag}: not a finite number")
            if name in LEAST and value < LEAST[name]:
                raise LaftError(f"{flag}: at least {LEAST[name]}")
        if self.nbest > self.beam:
            raise LaftError(f"--nbest {self.nbest}: at most --beam {self.beam}")
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


@dataclass
class SearchRun:
    """A search over texts of ``lang``, for outputs in it or in ``output``.

    The task's ``gen_lang`` is set here.
    """

    model: LAFTMBart
    task: LaftGeneration
    tokenizer: SubwordTokenizer
    options: Search
    lang: str
    output: str | None

    def __post_init__(self) -> None:
        self.generator = self.task.build_generator([self.model], Namespace(**vars(self.options)))
        longest, shortest = self.generator.max_len - 1, self.options.min_len
        if shortest > longest:
            raise LaftError(f"--min-len {shortest}: the model writes at most {longest} tokens")

    def outputs(self, texts: list[str], read: int) -> list[list[Hypothesis]]:
        """The hypotheses of each of ``texts``, before which ``read`` others came."""
        outputs = [[Hypothesis("", 0.0)] * self.options.nbest for _ in texts]
        encoded = [self.tokenizer.encode(text) for text in texts]
        numbers = [n for n, text in enumerate(texts) if text.strip() and len(encoded[n]) > 1]
        if not numbers:
            return outputs
        self.task.cfg.gen_lang = self.lang
        sources = [encoded[n] for n in numbers]
        inputs = self.task.build_dataset_for_inference(sources, [len(ids) for ids in sources])
        for n, size in zip(numbers, inputs.src_sizes, strict=True):
            tokens = len(encoded[n]) + 1  # and the tag
            if tokens > size:
                logger.warning(
                    "input line %d: cut to the model's %d tokens (it has %d)",
                    read + n + 1, size, tokens,
                )  # fmt: skip
        for examples in self._batches([int(size) for size in inputs.src_sizes]):
            batch = inputs.collater([inputs[example] for example in examples])
            hypotheses = self._search(batch)
            for example, beam in zip(batch["id"].tolist(), hypotheses, strict=True):
                best = [self._hypothesis(h) for h in beam[: self.options.nbest]]
                best += [Hypothesis("", -math.inf)] * (self.options.nbest - len(best))
                outputs[numbers[example]] = best
        return outputs

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Indices of examples of similar lengths, longest first: too large a batch fails first."""
        batch: list[int] = []
        for example in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
            longest = lengths[batch[0]] if batch else 0
            full = (len(batch) + 1) * longest > self.options.max_tokens
            alike = not self.options.max_len_a or lengths[example] == longest
            if batch and (full or len(batch) == self.options.batch_size or not alike):
                yield batch
                batch = []
            batch.append(example)
        yield batch

    def _search(self, batch: dict[str, Any]) -> Any:
        """The task's search on a batch, with the output's language beside its tokens."""
        if self.output is not None:
            tokens = batch["net_input"]["src_tokens"]  # (B, T)
            language = tokens.new_full(tokens.shape[:1], self.model.tags.index(self.output))
            batch["net_input"]["output_language"] = language  # (B,)
        device = self.model.encoder.embed_tokens.weight.device
        batch = utils.apply_to_sample(lambda tensor: tensor.to(device), batch)
        return self.task.inference_step(self.generator, [self.model], batch)

    def _hypothesis(self, searched: dict[str, Any]) -> Hypothesis:
        ignored = self.generator.symbols_to_strip_from_output
        text = self.tokenizer.decode(searched["tokens"].int().cpu(), ignored)
        return Hypothesis(text, float(searched["score"]) / math.log(2))
