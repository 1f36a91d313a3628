"""The processes of one training: torchrun's environment, their devices, their process group."""

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
    """This process's rank among those that torchrun started."""

    rank: int
    world_size: int
    local_rank: int


def launched() -> Launched | None:
    """Return what torchrun sets in the environment; None where it started one process, or none."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if any(name not in os.environ for name in names) or int(os.environ["WORLD_SIZE"]) == 1:
        return None
    rank = int(os.environ["RANK"])
    return Launched(rank, int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", rank)))


def refuse_lost_processes() -> None:
    """Refuse processes that are not connected, and would each train into the same folder."""
    if dist.is_initialized():
        return
    for name in LAUNCHERS:
        processes = int(os.environ.get(name) or "1")
        if processes > 1:
            raise LaftError(
                f"{processes} processes were launched ({name}) but are not connected: start "
                "fairseq-train with torchrun, and fairseq-generate without a launcher"
            )


def check_gpu(process: Launched) -> None:
    """Raise LaftError where this machine has no GPU for the process."""
    if process.local_rank >= torch.cuda.device_count():
        raise LaftError(
            f"process {process.rank}: local rank {process.local_rank}, but this machine has "
            f"{torch.cuda.device_count()} GPUs; lower --nproc_per_node, or pass --cpu"
        )


def configure_distributed(cfg: Any) -> None:
    """Set rank, world size, backend and device in fairseq's configuration.

    Raises:
        LaftError: more processes on this machine than it has GPUs, or no launcher for several.
    """
    if cfg.common.cpu:
        torch.cuda.is_available = lambda: False  # fairseq's gradient clipping asks torch
    options, on_cpu = cfg.distributed_training, not torch.cuda.is_available()
    process = launched() if options.distributed_init_method is None else None
    if process is not None:
        if not on_cpu:
            check_gpu(process)
        options.distributed_init_method, options.distributed_no_spawn = "env://", True
        options.distributed_rank, options.distributed_world_size = process.rank, process.world_size
        options.device_id = 0 if on_cpu else process.local_rank
    if not on_cpu:
        return
    if options.distributed_backend == "nccl":
        options.distributed_backend = "gloo"
    processes = options.distributed_world_size
    if process is None and processes > 1:
        raise LaftError(
            f"--distributed-world-size {processes}: on CPUs fairseq starts no processes; use "
            f"torchrun --nproc_per_node={processes}"
        )


@contextlib.contextmanager
def connected(on_cpu: bool) -> Iterator[int]:
    """Connect the processes that torchrun started while the context lasts; yields the rank.

    Without torchrun, or with one process of it, the rank is 0 and there is no group.
    """
    process = launched()
    if process is None:
        yield 0
        return
    if not on_cpu:
        check_gpu(process)
        torch.cuda.set_device(process.local_rank)
    dist.init_process_group("gloo" if on_cpu else "nccl")
    yield process.rank
    dist.destroy_process_group()


def disconnect() -> None:
    """End all process groups and their threads, with which Python's exit sometimes aborts.

    fairseq keeps its group in a function's attribute, and its trainer is in reference cycles.
    """
    from fairseq.distributed import utils

    if not dist.is_initialized():
        return
    dist.destroy_process_group()
    vars(utils.get_global_group).pop("_global_group", None)
    gc.collect()
