"""Batches shared among processes that train together, or among shards of a generation."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from torch import nn

from laft_fairseq import agreement
from laft_fairseq.errors import LaftError

DIVISION = "laft.num_shards"  # beside fairseq's own state of the iterator


def check_sharing(batches: Any) -> None:
    """Each batch has to go to exactly one process: so all of them must have cut the same ones.

    Args:
        batches: fairseq's EpochBatchIterator, of which process ``shard_id`` takes every
            ``num_shards``-th batch.

    Raises:
        LaftError: another process has other data.
    """
    if not agreement.several():
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
    agreement.expect_same(values, "give all of them the same data")


def keep_place(batches: Any) -> None:
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


def shard_words(batches: Any) -> str:
    """What a shard of a generation says of itself; empty where there is but one."""
    if batches.num_shards == 1 or agreement.several():
        return ""
    lengths = [len(batch) for batch in batches.frozen_batches]
    own = sum(lengths[batches.shard_id :: batches.num_shards])
    return f"shard {batches.shard_id} of {batches.num_shards}: {own} of {sum(lengths)} items"


def say_shard(words: str, models: list[nn.Module]) -> None:
    """Print a shard's words with its model's digest, by which `laft score` joins the shards."""
    if words:
        print(f"{words}, model {model_digest(models)}", flush=True)


@torch.no_grad()
def model_digest(models: list[nn.Module]) -> str:
    """Eight hexadecimal digits of the parameters' mean magnitudes, to six figures."""
    means = [
        f"{p.abs().mean(dtype=torch.float64).item():.5e}" for m in models for p in m.parameters()
    ]
    return f"{zlib.crc32(' '.join(means).encode()):08x}"
