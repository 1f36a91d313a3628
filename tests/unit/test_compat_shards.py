"""Which part of the texts a run of fairseq-generate takes."""

from argparse import Namespace

import pytest

from laft_fairseq import compat_shards
from laft_fairseq.errors import LaftError


def test_shards_of_a_generation_reach_fairseqs_iterator() -> None:
    args = Namespace(num_shards=3, shard_id=2, results_path=None)
    compat_shards.use_shards(args)
    assert (args.distributed_world_size, args.distributed_rank) == (3, 2)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"num_shards": 3, "shard_id": 3, "results_path": None}, "--shard-id 3: .* 0 to 2"),
        ({"num_shards": 3, "shard_id": -1, "results_path": None}, "--shard-id -1: .* 0 to 2"),
        ({"num_shards": 1, "shard_id": 1, "results_path": None}, "--shard-id 1: .* 0 to 0"),
        ({"num_shards": 2, "shard_id": 0}, "for fairseq-generate alone"),
        ({"num_shards": 2, "shard_id": 0, "results_path": None, "buffer_size": 1}, "alone"),
    ],
)
def test_shards_that_there_are_not(args: dict[str, object], said: str) -> None:
    with pytest.raises(LaftError, match=said):
        compat_shards.use_shards(Namespace(**args))
