"""A language's text estimated in parts: by processes together, or in shards merged afterwards.

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
    """The batches of this shard and process; the shard remembers what was divided.

    Args:
        tag: the language.
        batches: item numbers of each batch, of the whole text.
        sizes: (n,) tokens of each item.
        shard: None for the whole text.

    Raises:
        LaftError: another process has cut other batches.
    """
    text = digest(batches, sizes)
    if rank_consistency.is_distributed():
        rank_consistency.expect_same({f"the text of {tag}": text}, "give all of them the same data")
    own = list(batches)
    if shard is not None:
        shard.digests[tag] = text
        own = own[shard.index - 1 :: shard.of]
    return (
        own[dist.get_rank() :: dist.get_world_size()] if rank_consistency.is_distributed() else own
    )


def digest(batches: Sequence[np.ndarray], sizes: np.ndarray) -> str:
    """Eight hexadecimal digits of the batches' item numbers and of the items' lengths."""
    lengths = np.array([len(batch) for batch in batches], dtype=np.int64)
    parts = (lengths, np.concatenate([[], *batches]), sizes)
    value = 0
    for part in parts:
        value = zlib.crc32(np.asarray(part, dtype=np.int64).tobytes(), value)
    return f"{value:08x}"


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
    """Each language that comes in shards must come in all of them, each once.

    Raises:
        LaftError: a shard is missing, stands there twice, or is of other text or of another
            division than the rest.
    """
    by_tag: dict[str, list[LanguageComponents]] = {}
    for file in files:
        for tag in file.languages:
            by_tag.setdefault(tag, []).append(file)
    for tag, parts in by_tag.items():
        first = parts[0].shard
        if first is None and all(part.shard is None for part in parts):
            continue
        seen: dict[int, LanguageComponents] = {}
        for part in parts:
            if first is None or part.shard is None:
                whole = part if part.shard is None else parts[0]
                raise LaftError(f"{whole.path}: holds all of {tag}, of which there are shards too")
            if part.shard.of != first.of or part.shard.digests[tag] != first.digests[tag]:
                raise LaftError(
                    f"{part.path}: shard {part.shard} of {tag} is of another text or division "
                    f"than {parts[0].path}; estimate all shards alike, with one --max-tokens"
                )
            if part.shard.index in seen:
                raise LaftError(
                    f"{part.path}: shard {part.shard} of {tag} once more, "
                    f"after {seen[part.shard.index].path}"
                )
            seen[part.shard.index] = part
        assert first is not None
        missing = [f"{i}/{first.of}" for i in range(1, first.of + 1) if i not in seen]
        if missing:
            raise LaftError(f"{parts[0].path}: without shard {', '.join(missing)} of {tag}")
