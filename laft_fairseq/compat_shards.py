"""`fairseq-generate --num-shards N --shard-id I`: fairseq reads both options and uses neither."""

from __future__ import annotations

import functools
from argparse import Namespace
from typing import Any

from laft_fairseq.errors import LaftError


def shard_generation() -> None:
    """Each run of fairseq-generate takes its own part of the texts."""
    from fairseq import options

    stock = options.parse_args_and_arch
    if getattr(stock, "laft", False):
        return

    @functools.wraps(stock)
    def parse_args_and_arch(*args: Any, **kwargs: Any) -> Any:
        parsed = stock(*args, **kwargs)
        if isinstance(parsed, Namespace):
            use_shards(parsed)
        return parsed

    parse_args_and_arch.laft = True  # type: ignore[attr-defined]
    options.parse_args_and_arch = parse_args_and_arch


def use_shards(args: Namespace) -> None:
    """Hand the shard of a generation to fairseq's iterator, as rank and world size.

    Raises:
        LaftError: no such shard, or a command that has none.
    """
    shards, shard = getattr(args, "num_shards", 1), getattr(args, "shard_id", 0)
    if (shards, shard) == (1, 0):
        return
    if not hasattr(args, "results_path") or hasattr(args, "buffer_size"):
        raise LaftError("--num-shards, --shard-id: for fairseq-generate alone")
    if not 0 <= shard < shards:
        raise LaftError(f"--shard-id {shard}: of --num-shards {shards} they are 0 to {shards - 1}")
    args.distributed_world_size, args.distributed_rank = shards, shard


def apply() -> None:
    """Apply the patch, once."""
    shard_generation()
