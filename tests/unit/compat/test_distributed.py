"""What a launcher's environment becomes, and what is refused; DDP on a CPU."""

from argparse import Namespace
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from fairseq.models import distributed_fairseq_model

from laft_fairseq.errors import LaftError
from laft_fairseq.training.launch import (
    LAUNCHERS,
    Launched,
    check_gpu,
    configure_distributed,
    refuse_lost_processes,
)

TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29400"}  # fmt: skip


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TORCHRUN, *LAUNCHERS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def group() -> Iterator[None]:
    """A group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def configuration(**given: object) -> SimpleNamespace:
    """fairseq's own defaults, as far as they are read."""
    options = {"distributed_init_method": None, "distributed_world_size": 1, "distributed_rank": 0,
           "distributed_backend": "nccl", "distributed_no_spawn": False,
           "device_id": 0}  # fmt: skip
    return SimpleNamespace(
        distributed_training=SimpleNamespace(**(options | given)), common=SimpleNamespace(cpu=True)
    )


@pytest.mark.usefixtures("torchrun")
def test_torchrun_on_cpus_is_read() -> None:
    cfg = configuration()
    configure_distributed(cfg)
    options = cfg.distributed_training
    assert (options.distributed_init_method, options.distributed_backend) == ("env://", "gloo")
    assert (options.distributed_rank, options.distributed_world_size, options.device_id) == (
        3,
        4,
        0,
    )
    assert options.distributed_no_spawn


def test_without_a_launcher_nothing_is_distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    cfg = configuration()
    configure_distributed(cfg)
    assert cfg.distributed_training.distributed_init_method is None
    refuse_lost_processes()


def test_processes_that_nothing_starts_are_refused() -> None:
    with pytest.raises(LaftError, match=r"--distributed-world-size 2: .*--nproc_per_node=2"):
        configure_distributed(configuration(distributed_world_size=2))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_processes_that_do_not_know_of_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "2")
    with pytest.raises(LaftError, match=rf"2 processes were launched \({name}\)"):
        refuse_lost_processes()


def test_more_processes_than_gpus_are_refused() -> None:
    place = Launched(rank=70, world_size=80, local_rank=64)
    with pytest.raises(LaftError, match=r"process 70: local rank 64, .* has \d+ GPUs"):
        check_gpu(place)


@pytest.mark.usefixtures("group")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchs_ddp_takes_a_model_on_the_cpu() -> None:
    """fairseq passes device_ids; the gradient is that of the bare model."""
    args = Namespace(tpu=False, ddp_backend="pytorch_ddp", device_id=0, broadcast_buffers=False,
                     bucket_cap_mb=25, find_unused_parameters=False, ddp_comm_hook="none",
                     gradient_as_bucket_view=False, heartbeat_timeout=-1)  # fmt: skip
    model = torch.nn.Linear(2, 1, bias=False)
    wrapped = distributed_fairseq_model.DistributedFairseqModel(
        args, model, process_group=None, device=torch.device("cpu")
    )
    wrapped(torch.tensor([[3.0, 4.0]])).sum().backward()
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [[3.0, 4.0]]


@pytest.mark.usefixtures("group")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchs_ddp_leaves_frozen_weights_unwritten() -> None:
    """What is written to is no longer shared with the backbone's file."""
    model = torch.nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    version = model.bias._version
    distributed_fairseq_model.DistributedDataParallel(module=model)
    assert model.bias._version == version


def test_cpu_beside_a_gpu_means_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """fairseq's gradient clipping asks torch, and would put the norm where no gradient is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cfg = configuration()
    cfg.common.cpu = True
    configure_distributed(cfg)
    assert not torch.cuda.is_available()
