"""Estimation of language components (section 3.1): a corpus streamed through a backbone."""

import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from fairseq.data import data_utils
from torch import Tensor

from laft_fairseq.data.tagged_texts import TaggedTexts, load_texts
from laft_fairseq.errors import LaftError
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import sentence_mean
from laft_fairseq.progress import progress
from laft_fairseq.training import rank_consistency

# Tokens of a batch on a CPU, on a GPU. On a CPU the allocator grows with larger ones
# (benchmarks/README.md).
MAX_TOKENS = 2048, 8192


@dataclass(frozen=True)
class Corpus:
    """The sentences that components are estimated on, and how they are read."""

    data: str  # data-bin folder with the monolingual text of each language, or its pairs
    split: str = "train"  # which of its splits
    max_length: int = 512  # tokens that a longer sentence is cut to
    max_tokens: int | None = None  # of a batch; None: `MAX_TOKENS` of the device
    max_sentences: int | None = None  # the first so many of each language; None: all


def estimate(
    model: Any, backbone: str, tags: Sequence[str], k: int, corpus: Corpus
) -> dict[str, ComponentStatistics]:
    """Return the statistics of each language, over all processes of the run.

    ``model`` is a LAFTMBart in eval; ``backbone``, its file, is named in errors.

    Raises:
        LaftError: a language has no such text, or fewer than k sentences, which is found before
            any is encoded; processes were started differently; the encoder's output is not finite.
    """
    if rank_consistency.is_distributed():
        asked = {"--langs": ",".join(tags), "k": str(k), "the backbone": model.fingerprint}
        rank_consistency.expect_same(asked, "start all of them with the same options")
    sentences = {tag: read_sentences(model, tag, corpus) for tag in tags}
    for tag, of_language in sentences.items():
        count = len(of_language.sizes[: corpus.max_sentences])
        if count < k:
            raise LaftError(
                f"{corpus.data}: language {tag}: {count} sentences are too few for {k} components"
            )
    statistics = {}
    for tag, of_language in sentences.items():
        token_batches = batches(model, tag, of_language, corpus)
        statistics[tag] = _statistics(model, token_batches, f"{backbone}: language {tag}")
    return statistics


def read_sentences(model: Any, tag: str, corpus: Corpus) -> TaggedTexts:
    """Return the sentences of one language: its monolingual text, else the sources of its pairs."""
    prefix = os.path.join(corpus.data, tag, corpus.split)
    if not os.path.exists(f"{prefix}.idx") and os.path.exists(f"{prefix}.src-tgt.src.idx"):
        prefix += ".src-tgt.src"
    language_tags = model.encoder.language_tags
    limit = min(corpus.max_length, model.encoder.max_positions())
    tag_id = language_tags.token_ids[model.tags.index(tag)]
    indexed = load_texts(prefix, model.encoder.dictionary, tag)
    return TaggedTexts(indexed, tag_id, limit, prefix, language_tags.layout)


def batches(model: Any, tag: str, sentences: TaggedTexts, corpus: Corpus) -> Iterator[Tensor]:
    """Yield the (B, T) token batches of this process, longest sentences first.

    Each takes every N-th of the batches that one process would have made, so that each e_L is the
    same number in any division, and only the order of the float64 sums differs.

    Raises:
        LaftError: `max_tokens` is below the longest sentence, or processes have other texts.
    """
    sizes = sentences.sizes[: corpus.max_sentences]  # (n,)
    order = np.argsort(sizes, kind="mergesort")[::-1]
    longest = int(sizes[order[0]])
    max_tokens = corpus.max_tokens
    if max_tokens is None:
        on_gpu = model.encoder.embed_tokens.weight.device.type != "cpu"
        max_tokens = max(MAX_TOKENS[on_gpu], longest)
    if max_tokens < longest:
        raise LaftError(f"--max-tokens {max_tokens}: a text of {sentences.name} has {longest}")
    chosen = data_utils.batch_by_size(order.copy(), sentences.num_tokens, max_tokens=max_tokens)
    if rank_consistency.is_distributed():
        lengths = f"{zlib.crc32(sizes.tobytes()):08x}"
        division = {f"the text of {tag}": lengths, "--max-tokens": str(max_tokens)}
        rank_consistency.expect_same(division, "give all of them the same data and options")
        chosen = chosen[dist.get_rank() :: dist.get_world_size()]
    reports = rank_consistency.is_rank_zero()
    if reports and not sys.stderr.isatty():
        print(f"{tag}: {len(sizes)} sentences of {sentences.name}", file=sys.stderr)
    count = sum(map(len, chosen))
    with progress(tag, count, "sentences", disable=not reports) as bar:
        for batch in chosen:
            rows = [sentences[int(index)] for index in batch]
            yield data_utils.collate_tokens(rows, model.encoder.dictionary.pad(), left_pad=True)
            bar.update(len(rows))


@torch.inference_mode()
def _statistics(model: Any, token_batches: Iterator[Tensor], name: str) -> ComponentStatistics:
    """Return the statistics of the e_L of all processes; an error begins with `name`."""
    embedding = model.encoder.embed_tokens
    statistics = ComponentStatistics.zeros(embedding.embedding_dim, embedding.weight.device)
    for tokens in token_batches:
        tokens = tokens.to(embedding.weight.device)  # (B, T)
        e = model.encoder.forward_backbone(tokens)["encoder_out"][0]  # (T, B, d)
        mask = model.encoder.language_tags.text_mask(tokens)  # (B, T)
        try:
            statistics.update(sentence_mean(e, mask))
        except LaftError as error:
            raise LaftError(f"{name}: {error}") from None
    if rank_consistency.is_distributed():
        count = statistics.sum.new_tensor([statistics.count])  # float64: exact below 2^53
        sums = [entry for entry in vars(statistics).values() if isinstance(entry, Tensor)]
        for tensor in (*sums, count):
            dist.all_reduce(tensor)
        statistics.count = int(count.item())
    return statistics
