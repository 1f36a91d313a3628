"""Several processes: what fairseq's trainer needs for them on a CPU, and under torchrun anywhere.

fairseq asks the launcher for rank and world size only where it sees several GPUs, so that
processes on CPUs, or on machines with a GPU each, would train alone and write into one folder.
Each patch stands behind a feature test; :func:`apply` is called when the plug-in is imported.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import torch
import torch.distributed as dist

# Imported while a group lives, its functions' defaults would keep that group to Python's end.
import torch.distributed.nn.functional

from laft_fairseq.agreement import expect_same_options
from laft_fairseq.errors import LaftError

CONNECT_SECONDS = 300  # how long to wait for the others; LAFT_CONNECT_SECONDS overrides
ALONE = ("validate.py", "interactive.py", "eval_lm.py")  # fairseq's commands that run as one
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
                "launch fairseq-train by torchrun; fairseq-generate takes --num-shards N "
                "--shard-id I, with an output each, and runs without a launcher"
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


def settle(cfg: Any) -> None:
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
    if own.distributed_init_method is not None:
        own.distributed_no_spawn = True  # fairseq would start a process a GPU: none at all
    elif own.distributed_world_size > 1:
        raise LaftError(
            f"--distributed-world-size {own.distributed_world_size}: on a CPU nothing starts these "
            f"processes; use torchrun --nproc_per_node={own.distributed_world_size}"
        )


def connect(own: Any) -> None:
    """Meet the other processes, unless torchrun's agent has already brought them together.

    Args:
        own: fairseq's ``distributed_training``; ``tcp://HOST:PORT`` or ``env://``.

    Raises:
        LaftError: they did not all come in time, or LAFT_CONNECT_SECONDS is no number of seconds.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        return
    if own.distributed_init_method == "env://":
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    else:
        url = urlsplit(own.distributed_init_method)
        if url.scheme != "tcp" or not url.hostname or not url.port:
            return  # file:// and the like are torch's own
        host, port = url.hostname, url.port
    rank, processes = own.distributed_rank, own.distributed_world_size
    seconds = _connect_seconds()
    try:
        store = dist.TCPStore(host, port, processes, rank == 0, timedelta(seconds=seconds))
        dist.init_process_group(
            own.distributed_backend, store=store, world_size=processes, rank=rank
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0][:160]
        raise LaftError(
            f"process {rank} of {processes} did not meet the others at {host}:{port} within "
            f"{seconds} s ({reason}); start all {processes}, with one address, port and world size"
        ) from None


def _connect_seconds() -> int:
    text = os.environ.get("LAFT_CONNECT_SECONDS", str(CONNECT_SECONDS))
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise LaftError(f"LAFT_CONNECT_SECONDS={text}: give whole seconds, 1 or more")
    return int(text)


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
    own = Namespace(
        distributed_init_method="env://",
        distributed_rank=place.rank,
        distributed_world_size=place.world_size,
        distributed_backend="gloo" if on_cpu else "nccl",
    )
    connect(own)
    if not dist.is_initialized():
        dist.init_process_group(own.distributed_backend)
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


def connect_processes() -> None:
    """``fairseq-train`` under torchrun, and on CPUs under any address that is given."""
    from fairseq.distributed import utils

    if getattr(utils.call_main, "laft", False):
        return
    stock_call_main, stock_init = utils.call_main, utils.distributed_init

    @functools.wraps(stock_call_main)
    def call_main(cfg: Any, main: Callable[..., Any], **kwargs: Any) -> None:
        if Path(main.__code__.co_filename).name not in ALONE:
            settle(cfg)
        stock_call_main(cfg, main, **kwargs)
        disconnect()

    @functools.wraps(stock_init)
    def distributed_init(cfg: Any) -> int:
        if not dist.is_initialized():
            connect(cfg.distributed_training)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Distributed is already initialized")
            rank: int = stock_init(cfg)
        expect_same_options(cfg)
        return rank

    call_main.laft = True  # type: ignore[attr-defined]
    utils.call_main, utils.distributed_init = call_main, distributed_init


def wrap_models_on_cpu() -> None:
    """fairseq names a device to torch's DistributedDataParallel, which a CPU model must not.

    Nor is process 0's model written over the others' where some of it is frozen: those weights,
    which all share with the backbone's file (frozen_weights.py), would become a copy in each. That
    they are the same is checked (agreement.expect_same_model).
    """
    from fairseq.models import distributed_fairseq_model as wrapping

    stock = wrapping.DistributedDataParallel
    if getattr(stock, "laft", False):
        return

    @functools.wraps(stock, updated=())
    def distributed_data_parallel(module: torch.nn.Module, **kwargs: Any) -> Any:
        if next(module.parameters()).device.type == "cpu":
            trained = all(parameter.requires_grad for parameter in module.parameters())
            kwargs |= {"device_ids": None, "output_device": None, "init_sync": trained}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
            return stock(module=module, **kwargs)

    distributed_data_parallel.laft = True  # type: ignore[attr-defined]
    wrapping.DistributedDataParallel = distributed_data_parallel


def apply() -> None:
    """Apply every patch, once."""
    connect_processes()
    wrap_models_on_cpu()
