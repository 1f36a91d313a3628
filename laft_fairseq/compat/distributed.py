"""What fairseq's trainer needs to train in several processes on CPUs, and under torchrun anywhere.

fairseq asks the launcher for rank and world size only where it sees several GPUs, so that processes
on CPUs, or on machines with a GPU each, would train alone and write into one folder.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

# If it were imported later, its functions' defaults would keep a process group alive until exit.
import torch.distributed.nn.functional

from laft_fairseq.training.launch import configure_distributed, disconnect
from laft_fairseq.training.rank_consistency import expect_same_options

SINGLE_PROCESS = ("validate.py", "interactive.py", "eval_lm.py")  # commands of fairseq


def connect_processes() -> None:
    """Let ``fairseq-train`` run under torchrun, on CPUs too."""
    from fairseq.distributed import utils

    if getattr(utils.call_main, "laft", False):
        return
    stock_call_main, stock_init = utils.call_main, utils.distributed_init

    @functools.wraps(stock_call_main)
    def call_main(cfg: Any, main: Callable[..., Any], **kwargs: Any) -> None:
        if Path(main.__code__.co_filename).name not in SINGLE_PROCESS:
            configure_distributed(cfg)
        stock_call_main(cfg, main, **kwargs)
        disconnect()

    @functools.wraps(stock_init)
    def distributed_init(cfg: Any) -> int:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Distributed is already initialized")
            rank: int = stock_init(cfg)
        expect_same_options(cfg)
        return rank

    call_main.laft = True  # type: ignore[attr-defined]
    utils.call_main, utils.distributed_init = call_main, distributed_init


def wrap_models_on_cpu() -> None:
    """Let torch's DistributedDataParallel take CPU models, for which fairseq names a device.

    Where some weights are frozen, process 0's model is not written over the others', or weights
    that all share with the backbone's file (frozen_weights.py) would become a copy in each.
    rank_consistency.expect_same_model checks that all models are the same.
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
