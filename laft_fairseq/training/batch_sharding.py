"""How the processes of one training share its batches."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from laft_fairseq.errors import LaftError
from laft_fairseq.training import rank_consistency

DIVISION = "laft.num_shards"  # beside fairseq's own state of the iterator


def check_sharing(batches: Any) -> None:
    """Check that all processes cut the same batches, so that each goes to exactly one of them.

    Args:
        batches: fairseq's EpochBatchIterator, of which process ``shard_id`` takes every
            ``num_shards``-th batch.

    Raises:
        LaftError: another process has other data.
    """
    if not rank_consistency.is_distributed():
        return
    item_numbers = batches.frozen_batches  # a list for each batch
    lengths = [len(batch) for batch in item_numbers]
    digest = 0
    for part in (lengths, np.concatenate([[], *item_numbers]), batches.dataset.sizes):
        digest = zlib.crc32(np.asarray(part, dtype=np.int64).tobytes(), digest)
    values = {
        "the number of examples": str(len(batches.dataset)),
        "the number of batches": str(len(lengths)),
        "the digest of the examples' lengths": f"{digest:08x}",
    }
    rank_consistency.expect_same(values, "give all of them the same data")


def resume_across_world_sizes(batches: Any) -> None:
    """Make a run that stopped within an epoch resume there with another number of processes.

    fairseq counts the batches of one process, and would resume after twice as many, or half.
    """
    stock_state, stock_load = batches.state_dict, batches.load_state_dict

    def state_dict() -> dict[str, Any]:
        return {**stock_state(), DIVISION: batches.num_shards}

    def load_state_dict(state: dict[str, Any]) -> None:
        processes = batches.num_shards
        done = state.get("iterations_in_epoch", 0) * state.get(DIVISION, processes)
        if done % processes:
            raise LaftError(
                f"the checkpoint was saved after {done} batches of epoch {state['epoch']}, which "
                f"{processes} processes cannot share; resume with another number of them, or begin "
                "the epoch again with --reset-dataloader"
            )
        stock_load({**state, "iterations_in_epoch": done // processes})

    batches.state_dict, batches.load_state_dict = state_dict, load_state_dict
