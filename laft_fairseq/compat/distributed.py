"""What fairseq's trainer needs to train in several processes on CPUs, and under torchrun anywhere.

fairseq asks the launcher for rank and world size only where it sees several GPUs, so that processes
on CPUs, or on machines with a GPU each, would train alone and write into one folder.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

# If it were imported later, its functions' defaults would keep a process group alive until exit.
import torch.distributed.nn.functional

from laft_fairseq.training import remarks, save_folder
from laft_fairseq.training.launch import configure_distributed, disconnect
from laft_fairseq.training.rank_consistency import expect_same_options

SINGLE_PROCESS = ("validate.py", "interactive.py", "eval_lm.py")  # commands of fairseq


def call_main(stock: Any, cfg: Any, main: Callable[..., Any], **kwargs: Any) -> None:
    """Run a command of fairseq's, which may train under torchrun, on CPUs too."""
    if Path(main.__code__.co_filename).name not in SINGLE_PROCESS:
        configure_distributed(cfg)
    try:
        stock(cfg, main, **kwargs)
        remarks.say_again()
    finally:
        save_folder.leave()
    disconnect()


def distributed_init(stock: Any, cfg: Any) -> int:
    """Connect the processes as fairseq does, and check that their options are the same."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Distributed is already initialized")
        rank: int = stock(cfg)
    expect_same_options(cfg)
    return rank


def DistributedDataParallel(stock: Any, module: torch.nn.Module, **kwargs: Any) -> Any:
    """Wrap a model in torch's class, also on a CPU, for which fairseq names a device.

    Where some weights are frozen, process 0's model is not written over the others', or weights
    that all share with the backbone's file (frozen_weights.py) would become a copy in each.
    rank_consistency.expect_same_model checks that all models are the same.
    """
    if next(module.parameters()).device.type == "cpu":
        is_trained = all(parameter.requires_grad for parameter in module.parameters())
        kwargs |= {"device_ids": None, "output_device": None, "init_sync": is_trained}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
        return stock(module=module, **kwargs)
