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
from fairseq.token_generation_constraints import pack_constraints
from torch import Tensor

from laft_fairseq.errors import LaftError
from laft_fairseq.hub.raw_text import SubwordTokenizer
from laft_fairseq.languages.scripts import is_unspaced
from laft_fairseq.models.laft_mbart import LAFTMBart
from laft_fairseq.tasks.decoding import OFF, check_search
from laft_fairseq.tasks.laft_generation import LaftGeneration

logger = logging.getLogger(__name__)

KINDS: dict[str, tuple[Any, str]] = {
    "int": (int, "a whole number"),
    "float": (int | float, "a number"),
    "bool": (bool, "True or False"),
    "str": (str, "a text"),
}


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
        temperature: logits are divided by it; above 1 flattens the distribution.
        sampling: draw ``beam`` outputs of each text at random, from torch's own generator, in place
            of a beam search; ``nbest`` must equal ``beam``.
        sampling_topk, sampling_topp: draw from the k likeliest tokens, or from the likeliest with
            the probability p together; -1: from all.
        diverse_beam_groups, diverse_beam_strength: parts of the beam, each with a penalty for
            tokens that another one has at the same place; -1: none.
        prefix: a text with which each output begins.
        constraints: ``unordered`` or ``ordered``: each text is followed by the words that its
            output has to contain, each after a tab, as for fairseq-interactive; in this order, if
            ``ordered``.
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
    temperature: float = 1.0
    sampling: bool = False
    sampling_topk: int = OFF
    sampling_topp: float = OFF
    diverse_beam_groups: int = OFF
    diverse_beam_strength: float = 0.5
    prefix: str = ""
    constraints: str = ""
    max_tokens: int = 8192
    batch_size: int = 32

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (kind, words) = getattr(self, field.name), KINDS[str(field.type)]
            if not isinstance(value, kind):
                raise LaftError(f"--{field.name.replace('_', '-')} {value!r}: not {words}")
        if self.constraints not in ("", "ordered", "unordered"):
            raise LaftError(f"--constraints {self.constraints}: ordered or unordered")
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

    models: list[LAFTMBart]  # more than one: an ensemble
    task: LaftGeneration
    tokenizer: SubwordTokenizer
    options: Search
    lang: str
    output: str | None
    lock: AbstractContextManager[Any]

    def __post_init__(self) -> None:
        with self.lock:
            options = Namespace(**vars(self.options))
            self.generator = self.task.build_generator(self.models, options)
        longest = self.generator.max_len - 1
        self.longest = longest if self.options.max_len_a else min(longest, self.options.max_len_b)
        self.prefix = self._forced(self.options.prefix, "--prefix")  # (t,)
        self._check_length(len(self.prefix), "--prefix")

    def outputs(
        self, texts: list[str], read: int, on_done: Callable[[int], Any]
    ) -> Iterator[list[Hypothesis]]:
        """Yield the hypotheses of each of ``texts`` in order, as soon as all before it are done.

        Args:
            texts: one buffer.
            read: how many others came before it.
            on_done: called after each batch with its number of texts.
        """
        parts = [self._parts(text, read + n) for n, text in enumerate(texts, 1)]
        sources = [self.tokenizer.encode(text if text.strip() else "") for text, *_ in parts]
        packed = None
        if self.options.constraints:
            packed = pack_constraints([self._constraints(words, read + n)
                                       for n, (_, *words) in enumerate(parts, 1)])  # fmt: skip
        with self.lock:
            self.task.cfg.gen_lang = self.lang
            inputs = self.task.build_dataset_for_inference(
                sources, [len(ids) for ids in sources], packed
            )
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

    def _parts(self, text: Any, number: int) -> list[str]:
        """The text, and after it the words that its output has to contain.

        Raises:
            LaftError: it is no text.
        """
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
        return text.split("\t") if self.options.constraints else [text]

    def _constraints(self, words: list[str], number: int) -> list[Tensor]:
        """The ids of what an output has to contain, (t,) each; blanks are no constraints."""
        where = f"texts: number {number}: --constraints"
        tokens = [self._forced(word, where, inside=is_unspaced(self.output or self.lang, word))
                  for word in words if word.strip()]  # fmt: skip
        self._check_length(sum(map(len, tokens)), where)
        return tokens

    def _forced(self, text: str, where: str, inside: bool = False) -> Tensor:
        """The ids, (t,), of what the search is to write.

        Raises:
            LaftError: the backbone has no subword for a part of it.
        """
        tokens = self.tokenizer.encode(text if text.strip() else "", inside)[:-1]
        if (tokens == self.task.dictionary.unk()).any():
            raise LaftError(f"{where}: the backbone has no subwords to write {text!r}")
        return tokens

    def _check_length(self, count: int, where: str) -> None:
        """Refuse to force more tokens than an output may have."""
        if count > self.longest:
            raise LaftError(f"{where}: {count} tokens, but outputs have at most {self.longest}")

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
            language = tokens.new_full(tokens.shape[:1], self.task.tags.index(self.output))
            batch["net_input"]["output_language"] = language  # (B,)
        if len(self.prefix):
            tag = self.task.tag_ids[self.output or self.lang]
            tagged = self.task.layout.tagged(self.prefix, tag)  # as a target begins
            begin = tagged[: self.task.layout.lead + len(self.prefix)]
            batch["prefix"] = begin.expand(len(batch["id"]), -1)  # (B, t)
        device = self.models[0].encoder.embed_tokens.weight.device
        batch = utils.apply_to_sample(lambda tensor: tensor.to(device), batch)
        with self.lock:
            return self.task.inference_step(
                self.generator, self.models, batch, batch.pop("prefix", None),
                batch.pop("constraints", None),
            )  # fmt: skip

    def _hypothesis(self, searched: dict[str, Any]) -> Hypothesis:
        ignored = self.generator.symbols_to_strip_from_output
        text = self.tokenizer.decode(searched["tokens"].int().cpu(), ignored)
        return Hypothesis(text, float(searched["score"]) / math.log(2))
