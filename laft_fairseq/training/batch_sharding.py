"""Batches shared among processes that train together."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from laft_fairseq.errors import LaftError
from laft_fairseq.training import rank_consistency

DIVISION = "laft.num_shards"  # beside fairseq's own state of the iterator


def check_sharing(batches: Any) -> None:
    """Each batch has to go to exactly one process: so all of them must have cut the same ones.

    Args:
        batches: fairseq's EpochBatchIterator, of which process ``shard_id`` takes every
            ``num_shards``-th batch.

    Raises:
        LaftError: another process has other data.
    """
    if not rank_consistency.is_distributed():
        return
    frozen = batches.frozen_batches  # lists of item numbers
    lengths = [len(batch) for batch in frozen]
    digest = zlib.crc32(np.asarray(lengths, dtype=np.int64).tobytes())
    parts: tuple[Any, ...] = (np.concatenate(frozen) if frozen else [], batches.dataset.sizes)
    for part in parts:
        digest = zlib.crc32(np.asarray(part, dtype=np.int64).tobytes(), digest)
    values = {
        "the number of texts": str(len(batches.dataset)),
        "the number of batches": str(len(frozen)),
        "the digest of the texts' lengths": f"{digest:08x}",
    }
    rank_consistency.expect_same(values, "give all of them the same data")


def resume_across_world_sizes(batches: Any) -> None:
    """Let a run that stopped within an epoch go on there with another number of processes.

    fairseq counts a process's own batches, and would go on with twice as many done, or half.
    """
    stock_state, stock_load = batches.state_dict, batches.load_state_dict

    def state_dict() -> dict[str, Any]:
        return {**stock_state(), DIVISION: batches.num_shards}

    def load_state_dict(state: dict[str, Any]) -> None:
        own, done = batches.num_shards, state.get("iterations_in_epoch", 0)
        done *= state.get(DIVISION, own)
        if done % own:
            raise LaftError(
                f"the checkpoint stands after {done} batches of epoch {state['epoch']}, which "
                f"{own} processes cannot share; go on with another number of them, or begin the "
                "epoch again with --reset-dataloader"
            )
        stock_load({**state, "iterations_in_epoch": done // own})

    batches.state_dict, batches.load_state_dict = state_dict, load_state_dict
