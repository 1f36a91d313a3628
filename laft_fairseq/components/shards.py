"""A corpus divided into parts: among processes, or into shards that are merged afterwards.

Every part takes each N-th of the batches that one process would have made, so that each e_L is
the same number in any division, and only the order of the float64 sums differs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch.distributed as dist

from laft_fairseq.components.schema import LanguageComponents, Shard
from laft_fairseq.errors import LaftError
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.training import rank_consistency


def share(
    tag: str, batches: Sequence[np.ndarray], sizes: np.ndarray, shard: Shard | None
) -> list[np.ndarray]:
    """Return the batches of this shard and process; the shard remembers what was divided.

    Args:
        tag: the language.
        batches: item numbers of each batch, of the whole text.
        sizes: (n,) tokens of each item.
        shard: None for the whole text.

    Raises:
        LaftError: another process has cut other batches.
    """
    corpus, chosen = digest(batches, sizes), list(batches)
    if shard is not None:
        shard.digests[tag] = corpus
        chosen = chosen[shard.index - 1 :: shard.of]
    if rank_consistency.is_distributed():
        remedy = "give all of them the same data"
        rank_consistency.expect_same({f"the text of {tag}": corpus}, remedy)
        chosen = chosen[dist.get_rank() :: dist.get_world_size()]
    return chosen


def digest(batches: Sequence[np.ndarray], sizes: np.ndarray) -> str:
    """Return eight hexadecimal digits of the batches' item numbers and the items' lengths."""
    lengths = [len(batch) for batch in batches]
    numbers = np.concatenate([lengths, *batches, sizes]).astype(np.int64)
    return f"{zlib.crc32(numbers.tobytes()):08x}"


def all_reduce_statistics(statistics: ComponentStatistics) -> None:
    """Sum the statistics of all processes, in float64, in place and in each of them."""
    if not rank_consistency.is_distributed():
        return
    count = statistics.sum.new_tensor([statistics.count])  # float64: exact below 2^53
    for tensor in (statistics.gram, statistics.sum, statistics.unit_sum, count):
        dist.all_reduce(tensor)
    if statistics.unit_gram is not None:
        dist.all_reduce(statistics.unit_gram)
    statistics.count = int(count.item())


def check_complete(files: Iterable[LanguageComponents]) -> None:
    """Check that each language that comes in shards comes in all of them, each once.

    Raises:
        LaftError: a shard is missing, stands there twice, or is of other text or of another
            division than the rest.
    """
    by_tag: dict[str, list[LanguageComponents]] = {}
    for file in files:
        for tag in file.languages:
            by_tag.setdefault(tag, []).append(file)
    for tag, parts in by_tag.items():
        whole = next((part for part in parts if part.shard is None), None)
        if whole is None:
            _check_shards(tag, parts)
        elif any(part.shard is not None for part in parts):
            raise LaftError(f"{whole.path}: holds all of {tag}, of which there are shards too")


def _check_shards(tag: str, parts: Sequence[LanguageComponents]) -> None:
    first, seen = parts[0], dict[int, LanguageComponents]()
    assert first.shard is not None
    of, corpus = first.shard.of, first.shard.digests[tag]
    for part in parts:
        shard = part.shard
        assert shard is not None
        if (shard.of, shard.digests[tag]) != (of, corpus):
            raise LaftError(
                f"{part.path}: shard {shard} of {tag} is of another text or division than "
                f"{first.path}; estimate all shards alike, with one --max-tokens"
            )
        if shard.index in seen:
            raise LaftError(
                f"{part.path}: shard {shard} of {tag} once more, after {seen[shard.index].path}"
            )
        seen[shard.index] = part
    missing = [f"{index}/{of}" for index in range(1, of + 1) if index not in seen]
    if missing:
        raise LaftError(f"{first.path}: without shard {', '.join(missing)} of {tag}")
