"""The processes of one run: torchrun's environment, devices, and the group that they form."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.distributed.nn.functional

from laft_fairseq.errors import LaftError

# How many processes a launcher started: torchrun, srun, mpirun.
LAUNCHERS = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")


class Launched(NamedTuple):
    """This process's place among those that torchrun started."""

    rank: int
    world_size: int
    local_rank: int


def launched() -> Launched | None:
    """What torchrun says in the environment; None where it started one process, or none."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if any(name not in os.environ for name in names) or int(os.environ["WORLD_SIZE"]) == 1:
        return None
    rank = int(os.environ["RANK"])
    return Launched(rank, int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", rank)))


def refuse_lost_processes() -> None:
    """Several processes that do not know of each other would train into one folder.

    Raises:
        LaftError: more than one was launched, and they are not connected.
    """
    if dist.is_initialized():
        return
    for name in LAUNCHERS:
        processes = int(os.environ.get(name) or "1")
        if processes > 1:
            raise LaftError(
                f"{processes} processes were launched ({name}), which do not know of each other: "
                "launch fairseq-train by torchrun; fairseq-generate runs without a launcher"
            )


def check_gpu(place: Launched) -> None:
    """Raise LaftError where a process has no GPU of its own on this machine."""
    if place.local_rank >= torch.cuda.device_count():
        raise LaftError(
            f"process {place.rank}: local rank {place.local_rank}, but this machine has "
            f"{torch.cuda.device_count()} GPUs; lower --nproc_per_node, or pass --cpu"
        )


def hide_gpus() -> None:
    """``--cpu`` beside a GPU: fairseq's gradient clipping asks torch, not the option, and fails."""
    torch.cuda.is_available = lambda: False


def configure_distributed(cfg: Any) -> None:
    """Write into fairseq's configuration what the launcher and the device ask for.

    Raises:
        LaftError: more processes on this machine than it has GPUs, or no launcher for several.
    """
    if cfg.common.cpu:
        hide_gpus()
    own, on_cpu = cfg.distributed_training, not torch.cuda.is_available()
    place = launched() if own.distributed_init_method is None else None
    if place is not None:
        if not on_cpu:
            check_gpu(place)
        own.distributed_init_method, own.distributed_no_spawn = "env://", True
        own.distributed_rank, own.distributed_world_size = place.rank, place.world_size
        own.device_id = 0 if on_cpu else place.local_rank
    if not on_cpu:
        return
    if own.distributed_backend == "nccl":
        own.distributed_backend = "gloo"
    if place is None and own.distributed_world_size > 1:
        raise LaftError(
            f"--distributed-world-size {own.distributed_world_size}: on a CPU nothing starts these "
            f"processes; use torchrun --nproc_per_node={own.distributed_world_size}"
        )


@contextlib.contextmanager
def connected(on_cpu: bool) -> Iterator[int]:
    """While it lasts, the processes that torchrun started know each other; yields the rank.

    Without torchrun, or with one process of it, the rank is 0 and there is no group.

    Raises:
        LaftError: they did not meet, or have no GPU each.
    """
    place = launched()
    if place is None:
        yield 0
        return
    if not on_cpu:
        check_gpu(place)
        torch.cuda.set_device(place.local_rank)
    dist.init_process_group("gloo" if on_cpu else "nccl")
    yield place.rank
    dist.destroy_process_group()


def disconnect() -> None:
    """End all groups and their threads, beside which Python's own end aborts now and then.

    fairseq keeps its group in a function's attribute, and its trainer is in reference cycles.
    """
    from fairseq.distributed import utils

    if not dist.is_initialized():
        return
    dist.destroy_process_group()
    vars(utils.get_global_group).pop("_global_group", None)
    gc.collect()
