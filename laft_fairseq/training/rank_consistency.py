"""Whether the processes that train one model together were started alike, and share the batches.

Processes that differ would wait for each other for ever, or train something that none of them was
asked to. Each check is a collective operation, which every process has to reach.
"""

import json
import math
import os
import socket
import zlib
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from laft_fairseq.errors import LaftError

# Options in which processes differ by design.
PER_PROCESS = ("distributed_rank", "device_id", "distributed_init_method", "nprocs_per_node")
DIVISION = "laft.num_shards"  # beside fairseq's own state of the iterator
TOLERANCE = 1e-5  # relative, of a parameter's sum of magnitudes


def is_distributed() -> bool:
    """Return whether this is one of several connected processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def is_rank_zero() -> bool:
    """Return whether this process is the only one, or the first of several."""
    return not is_distributed() or dist.get_rank() == 0


def expect_same(values: Mapping[str, str | float], remedy: str) -> None:
    """Compare named values of all processes: numbers up to ``TOLERANCE``, paths not at all.

    Raises:
        LaftError: in every process, where any of them differs from the first.
    """
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, (socket.gethostname(), dict(values)))
    _, first = gathered[0]
    for rank, (host, others) in enumerate(gathered):
        names = sorted(first.keys() | others.keys())
        differing = [name for name in names if not _alike(first.get(name), others.get(name))]
        if differing:
            differences = ", ".join(
                f"{name} is {others.get(name, 'absent')} there and {first.get(name, 'absent')} in "
                "process 0"
                for name in differing[:3]
            )
            raise LaftError(
                f"process {rank} on {host} does not agree with process 0: {differences}; {remedy}"
            )


def _alike(one: str | float | None, other: str | float | None) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE)
    return one == other or os.sep in f"{one}{other}"  # machines may keep files in other places


def expect_same_options(cfg: Any) -> None:
    """Compare fairseq's configuration and the versions of torch and of this package."""
    if not is_distributed():
        return
    from importlib.metadata import PackageNotFoundError, version

    from omegaconf import OmegaConf

    is_config = OmegaConf.is_config(cfg)
    groups = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True) if is_config else vars(cfg)
    values: dict[str, str | float] = {}
    for group in groups.values():
        options = vars(group) if isinstance(group, Namespace) else group  # the model's are one
        if isinstance(options, dict):
            values |= {name: json.dumps(value, sort_keys=True, default=_plain)
                       for name, value in options.items() if name not in PER_PROCESS}  # fmt: skip
    try:
        values["laft_fairseq"] = version("laft_fairseq")
    except PackageNotFoundError:
        values["laft_fairseq"] = "not installed"
    values["torch"] = torch.__version__
    expect_same(values, "start all of them with the same options and versions")


def expect_same_model(model: nn.Module) -> None:
    """Compare the sums of magnitudes of all parameters and language components, by name.

    Raises:
        LaftError: as :func:`expect_same`.
    """
    if not is_distributed():
        return
    buffers = {name: b for name, b in model.named_buffers() if b.is_floating_point()}
    tensors = {**dict(model.named_parameters()), **buffers}
    sums = [tensor.detach().abs().sum(dtype=torch.float64) for tensor in tensors.values()]
    values = dict(zip(tensors, torch.stack(sums).tolist(), strict=True))
    expect_same(values, "give all of them the same backbone, checkpoint and language components")


def check_sharing(batches: Any) -> None:
    """Check that all processes cut the same batches, so that each goes to exactly one of them.

    Of fairseq's EpochBatchIterator process ``shard_id`` takes every ``num_shards``-th batch.

    Raises:
        LaftError: another process has other data.
    """
    if not is_distributed():
        return
    item_numbers = batches.frozen_batches  # a list for each batch
    lengths = [len(batch) for batch in item_numbers]
    digest = 0
    for part in (lengths, np.concatenate([[], *item_numbers]), batches.dataset.sizes):
        digest = zlib.crc32(np.asarray(part, dtype=np.int64).tobytes(), digest)
    values = {
        "the number of examples": str(len(batches.dataset)),
        "the digest of their batches": f"{digest:08x}",
    }
    expect_same(values, "give all of them the same data")


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


def _plain(value: Any) -> Any:
    """Return what JSON can write: namespaces as dictionaries, others as text."""
    return vars(value) if isinstance(value, Namespace) else str(value)
