"""Whether processes that train one model together were started alike.

Processes that differ would wait for each other for ever, or train something that none of them
was asked to; each check is a collective operation, which every process has to reach.
"""

from __future__ import annotations

import json
import os
import socket
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from laft_fairseq.errors import LaftError

OWN = ("distributed_rank", "device_id", "distributed_init_method", "nprocs_per_node")
TOLERANCE = 1e-5  # relative, of a parameter's sum of magnitudes


def is_distributed() -> bool:
    """Whether this is one of several connected processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def is_rank_zero() -> bool:
    """Whether this process is the only one, or the first of several."""
    return not is_distributed() or dist.get_rank() == 0


def device() -> torch.device:
    """Where tensors have to lie for the group's backend."""
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def expect_same(values: Mapping[str, str], remedy: str) -> None:
    """Compare ``values`` with those of process 0.

    Raises:
        LaftError: they differ here or in any other process, so that all of them end.
    """
    first: dict[str, str] = json.loads(_of_first(json.dumps(dict(values))))
    differ = [
        name
        for name in sorted(values.keys() | first.keys())
        if values.get(name) != first.get(name)
        and os.sep not in f"{values.get(name)}{first.get(name)}"  # paths may differ
    ]
    anywhere = torch.tensor([len(differ)], device=device())
    dist.all_reduce(anywhere, op=dist.ReduceOp.MAX)
    if differ:
        there_is = ", ".join(
            f"{name} is {values.get(name, 'absent')} here and {first.get(name, 'absent')} there"
            for name in differ[:3]
        )
        raise LaftError(
            f"process {dist.get_rank()} on {socket.gethostname()} does not agree with process 0: "
            f"{there_is}; {remedy}"
        )
    if anywhere.item():
        raise LaftError(
            f"process {dist.get_rank()} on {socket.gethostname()}: another process does not agree "
            f"with process 0, and says in what; {remedy}"
        )


def expect_same_options(cfg: Any) -> None:
    """Compare fairseq's configuration and the versions of torch and of this package."""
    if not is_distributed():
        return
    from importlib.metadata import PackageNotFoundError, version

    from omegaconf import OmegaConf

    held = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True) if _is(cfg) else vars(cfg)
    groups = [vars(g) if isinstance(g, Namespace) else g for g in held.values()]  # the model's
    values = {
        option: json.dumps(value, sort_keys=True, default=_plain)
        for group in groups
        for option, value in (group.items() if isinstance(group, dict) else ())
        if option not in OWN
    }
    try:
        values["laft_fairseq"] = version("laft_fairseq")
    except PackageNotFoundError:
        values["laft_fairseq"] = "not installed"
    values["torch"] = torch.__version__
    expect_same(values, "start all of them with the same options and versions")


def expect_same_model(model: nn.Module) -> None:
    """Compare parameters and language components: names, and of each the sum of its magnitudes.

    Raises:
        LaftError: as :func:`expect_same`.
    """
    if not is_distributed():
        return
    buffers = {name: b for name, b in model.named_buffers() if b.is_floating_point()}
    named: dict[str, Tensor] = {**dict(model.named_parameters()), **buffers}
    remedy = "give all of them the same backbone, checkpoint and language components"
    expect_same({"the list of parameters": " ".join(named).replace(os.sep, ".")}, remedy)
    sums = [tensor.detach().abs().sum(dtype=torch.float64) for tensor in named.values()]
    own = torch.stack(sums).to(device())  # (tensors,)
    first = own.clone()
    dist.broadcast(first, src=0)
    near = torch.isclose(own, first, rtol=TOLERANCE, atol=0)
    values = {
        name: "as in process 0" if same or dist.get_rank() == 0 else "of other contents"
        for name, same in zip(named, near.tolist(), strict=True)
    }
    expect_same(values, remedy)


def _of_first(text: str) -> str:
    """The text of process 0, in every process."""
    content = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device())
    length = torch.tensor([len(content)], device=device())
    dist.broadcast(length, src=0)
    if dist.get_rank():
        content = content.new_empty(int(length.item()))
    dist.broadcast(content, src=0)
    return bytes(content.tolist()).decode()


def _is(cfg: Any) -> bool:
    from omegaconf import OmegaConf

    return bool(OmegaConf.is_config(cfg))


def _plain(value: Any) -> Any:
    """Namespaces as dictionaries, tensors and others as text."""
    return (
        vars(value) if hasattr(value, "__dict__") and not isinstance(value, Tensor) else str(value)
    )
