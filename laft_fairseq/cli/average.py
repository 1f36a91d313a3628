"""`laft average`: the mean of several checkpoints of one training."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laft_fairseq.errors import LaftError

if TYPE_CHECKING:
    from torch import Tensor

    from laft_fairseq.checkpoints.record import Checkpoint

PATHS = {"backbone", "language_components", "data"}  # which another place of a file changes
HELP = "average the weights of several checkpoints of one training"
DESCRIPTION = "Write the mean of the weights of several checkpoints of one training."
EPILOG = """\
example:
  laft average --checkpoints stage2/checkpoint_1_{1000,1200,1400}.pt --out stage2/average.pt
  laft generate --checkpoint stage2/average.pt --lang fr_XX < in.txt

The checkpoints are of one training: slim or whole, of the same system, options, languages, backbone
and language components. The result is of the same kind and can be used wherever they can, but for
resuming, as it has no optimizer state.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--checkpoints", required=True, nargs="+", metavar="C.pt", help="two or more")
    add("--out", required=True, type=Path, metavar="D.pt", help="checkpoint to write")


def run(args: argparse.Namespace) -> int:
    """Average, and write the result to a temporary name first."""
    from laft_fairseq import register  # noqa: F401  whose options are checked
    from laft_fairseq.checkpoints.header import HEADER_KEY
    from laft_fairseq.checkpoints.record import NOT_OURS, open_checkpoint
    from laft_fairseq.checkpoints.writing import save_torch
    from laft_fairseq.cli.export import OF_THE_CLOCK
    from laft_fairseq.files import check_output, replacing

    if len(args.checkpoints) < 2:
        raise LaftError(f"--checkpoints {args.checkpoints[0]}: a mean takes two or more")
    check_output(args.out, *args.checkpoints)
    opened = [open_checkpoint(path) for path in args.checkpoints]
    records = []
    for checkpoint in opened:
        if checkpoint.header is None:
            raise LaftError(f"{checkpoint.path}: {NOT_OURS}")
        records.append(_record(checkpoint))
        for name, value in records[0].items():
            if records[-1].get(name) != value:
                raise _different(checkpoint.path, name, opened[0].path)
    content, header = opened[-1].usable_content(), opened[-1].header
    assert header is not None
    content.pop("last_optimizer_state", None)
    for name in OF_THE_CLOCK & set(content.get("extra_state") or ()):
        del content["extra_state"][name]
    if content.get("criterion"):
        content["criterion"] = _mean([c.content.get("criterion") or {} for c in opened], opened)
    state = _mean([checkpoint.state for checkpoint in opened], opened)
    content["model"] = state | {HEADER_KEY: header.to_tensor()}
    with replacing(args.out) as temporary:
        save_torch(content, temporary)
    print(f"wrote {args.out}: the mean of {len(opened)} {header.kind} checkpoints, {len(state)} "
          f"tensors, method {header.method}")  # fmt: skip
    return 0


def _different(path: str, what: str, first: str) -> LaftError:
    return LaftError(
        f"{path}: its {what} is not that of {first}; average checkpoints of one training"
    )


def _record(checkpoint: "Checkpoint") -> dict[str, Any]:
    """Everything but tensors that checkpoints of one training share, by name."""
    cfg = checkpoint.usable_content()["cfg"]
    tables = {
        "": checkpoint.header,
        "option ": cfg["model"] or {},
        "task option ": cfg["task"] or {},
    }
    return {
        f"{kind}{name}": value
        for kind, table in tables.items()
        for name, value in (table if isinstance(table, dict) else vars(table)).items()
        if name not in PATHS
    }


def _mean(states: "list[dict[str, Tensor]]", opened: "list[Checkpoint]") -> "dict[str, Tensor]":
    """Return the mean of each tensor, summed in float64; what is tied stays tied.

    Raises:
        LaftError: the tensors are not of the same names and shapes, or language components or
            whole numbers are not equal.
    """
    import torch

    means: dict[Any, Tensor] = {}  # by place in the first checkpoint
    for checkpoint, state in zip(opened, states, strict=True):
        for name in sorted(state.keys() ^ states[0].keys()):
            raise _different(checkpoint.path, name, opened[0].path)
    for name, tensor in states[0].items():
        is_fixed = not tensor.is_floating_point() or ".language_components." in name
        for checkpoint, state in zip(opened, states, strict=True):
            other = state[name]
            same = (other.shape, other.dtype) == (tensor.shape, tensor.dtype)
            if not same or (is_fixed and (other != tensor).any()):
                raise _different(checkpoint.path, name, opened[0].path)
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if is_fixed:
            means[place] = tensor
        elif place not in means:
            total = torch.zeros_like(tensor, dtype=torch.float64)
            for state in states:
                total += state[name]
            means[place] = (total / len(states)).to(tensor.dtype)
    return {name: means[tensor.data_ptr(), tensor.shape, tensor.stride()]
            for name, tensor in states[0].items()}  # fmt: skip
