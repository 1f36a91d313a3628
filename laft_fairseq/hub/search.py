"""Beam search over raw texts in batches.

Everything that decides an output is shared with ``fairseq-generate``: the task lays out the input,
builds the search and runs it, in fp32; sentencepiece stands before and after.
"""

from __future__ import annotations

import logging
import math
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any

from fairseq import utils
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.decoding import check_search
from laft_fairseq.tasks.laft_generation import LaftGeneration

logger = logging.getLogger(__name__)


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
        for field in fields(self):
            value, kind = getattr(self, field.name), field.type
            if not isinstance(value, int if kind == "int" else int | float):
                option = f"--{field.name.replace('_', '-')} {value!r}"
                raise LaftError(f"{option}: not {'a whole' if kind == 'int' else 'a'} number")
        check_search(vars(self))


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

    The task's ``gen_lang`` and the decoder's beam are set under ``lock``, for one search at a time.
    """

    model: LAFTMBart
    task: LaftGeneration
    tokenizer: SubwordTokenizer
    options: Search
    lang: str
    output: str | None
    lock: AbstractContextManager[Any]

    def __post_init__(self) -> None:
        with self.lock:
            options = Namespace(**vars(self.options))
            self.generator = self.task.build_generator([self.model], options)

    def outputs(
        self, texts: list[str], read: int, on_done: Callable[[int], Any]
    ) -> Iterator[list[Hypothesis]]:
        """Yield the hypotheses of each of ``texts`` in order, as soon as all before it are done.

        Args:
            texts: one buffer.
            read: how many others came before it.
            on_done: called after each batch with its number of texts.
        """
        sources = [self._encoded(text, read + n) for n, text in enumerate(texts, 1)]
        with self.lock:
            self.task.cfg.gen_lang = self.lang
            inputs = self.task.build_dataset_for_inference(sources, [len(ids) for ids in sources])
        sizes = [int(size) for size in inputs.src_sizes]
        for number, (ids, size) in enumerate(zip(sources, sizes, strict=True), read + 1):
            if len(ids) + 1 > size:  # and the tag
                logger.warning(
                    "input line %d: cut to the model's %d tokens (it has %d)",
                    number, size, len(ids) + 1,
                )  # fmt: skip
        done: dict[int, list[Hypothesis]] = {}
        given = 0
        for examples in self._batches(sizes):
            batch = inputs.collater([inputs[example] for example in examples])
            for example, beam in zip(batch["id"].tolist(), self._search(batch), strict=True):
                best = [self._hypothesis(h) for h in beam[: self.options.nbest]]
                best += [Hypothesis("", -math.inf)] * (self.options.nbest - len(best))
                done[example] = best
            on_done(len(examples))
            while given in done:
                yield done.pop(given)
                given += 1

    def _encoded(self, text: Any, number: int) -> Tensor:
        """The ids of a text; of one of white space alone, ``</s>``."""
        if not isinstance(text, str):
            raise LaftError(f"texts: number {number} is a {type(text).__name__}, not a string")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = f"U+{ord(text[error.start]):04X}"
            raise LaftError(
                f"texts: number {number} holds {half}, half a surrogate pair and no character; "
                "decode its bytes as what they are"
            ) from None
        return self.tokenizer.encode(text if text.strip() else "")

    def _batches(self, lengths: list[int]) -> list[list[int]]:
        """Indices of examples of similar lengths, the batch that holds the first example first."""
        batches: list[list[int]] = []
        for example in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
            batch = batches[-1] if batches else []
            longest = lengths[batch[0]] if batch else 0
            full = (len(batch) + 1) * longest > self.options.max_tokens
            alike = not self.options.max_len_a or lengths[example] == longest
            if batch and not full and len(batch) < self.options.batch_size and alike:
                batch.append(example)
            else:
                batches.append([example])
        return sorted(batches, key=min)

    def _search(self, batch: dict[str, Any]) -> Any:
        """The task's search on a batch, with the output's language beside its tokens."""
        if self.output is not None:
            tokens = batch["net_input"]["src_tokens"]  # (B, T)
            language = tokens.new_full(tokens.shape[:1], self.model.tags.index(self.output))
            batch["net_input"]["output_language"] = language  # (B,)
        device = self.model.encoder.embed_tokens.weight.device
        batch = utils.apply_to_sample(lambda tensor: tensor.to(device), batch)
        with self.lock:
            return self.task.inference_step(self.generator, [self.model], batch)

    def _hypothesis(self, searched: dict[str, Any]) -> Hypothesis:
        ignored = self.generator.symbols_to_strip_from_output
        text = self.tokenizer.decode(searched["tokens"].int().cpu(), ignored)
        return Hypothesis(text, float(searched["score"]) / math.log(2))
