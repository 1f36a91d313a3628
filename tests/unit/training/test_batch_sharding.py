"""Batches of several processes: where they go on."""

from typing import Any

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.training import batch_sharding as sharing


class Epoch:
    """fairseq's EpochBatchIterator, as far as it is asked."""

    def __init__(self, num_shards: int, shard_id: int = 0) -> None:
        self.num_shards, self.shard_id = num_shards, shard_id
        self.frozen_batches = ([0, 1, 2, 3], [4, 5], [6, 7, 8])
        self.state: dict[str, Any] = {"epoch": 1, "iterations_in_epoch": 6}

    def state_dict(self) -> dict[str, Any]:
        return dict(self.state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


@pytest.mark.parametrize(("before", "after", "expected"), [(1, 2, 3), (2, 1, 12), (2, 2, 6)])
def test_another_number_of_processes_goes_on_at_the_same_text(
    before: int, after: int, expected: int
) -> None:
    old, new = Epoch(before), Epoch(after)
    for epoch in (old, new):
        sharing.resume_across_world_sizes(epoch)
    new.load_state_dict(old.state_dict())
    assert new.state["iterations_in_epoch"] == expected
    assert new.state["epoch"] == 1


def test_a_place_that_cannot_be_shared_is_refused() -> None:
    old, new = Epoch(1), Epoch(4)
    for epoch in (old, new):
        sharing.resume_across_world_sizes(epoch)
    with pytest.raises(LaftError, match="after 6 batches of epoch 1, which 4 processes"):
        new.load_state_dict(old.state_dict())


def test_a_checkpoint_that_does_not_say_is_of_as_many() -> None:
    new = Epoch(4)
    sharing.resume_across_world_sizes(new)
    new.load_state_dict({"epoch": 2, "iterations_in_epoch": 5})
    assert new.state["iterations_in_epoch"] == 5
