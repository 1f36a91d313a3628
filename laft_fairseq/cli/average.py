"""`laft average`: the mean of several checkpoints of one training."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laft_fairseq.errors import LaftError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from laft_fairseq.checkpoints.record import Checkpoint

PATHS = {"backbone", "language_components", "data"}  # which another place of a file changes
_EPILOG = """\
example:
  laft average --checkpoints stage2/checkpoint_1_{1000,1200,1400}.pt --out stage2/average.pt
  laft generate --checkpoint stage2/average.pt --lang fr_XX < in.txt

The checkpoints are of one training: slim or whole, of the same system, options, languages, backbone
and language components. The result is of the same kind and can be used wherever they can, but for
resuming, as it has no optimizer state.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `average`."""
    parser = subparsers.add_parser(
        "average",
        help="average the weights of several checkpoints of one training",
        description="Write the mean of the weights of several checkpoints of one training.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--checkpoints", required=True, nargs="+", metavar="C.pt", help="two or more")
    add("--out", required=True, type=Path, metavar="D.pt", help="checkpoint to write")


def run(args: argparse.Namespace) -> int:
    """Average, and write the result to a temporary name first.

    Raises:
        LaftError: a checkpoint is not LAFT's, or differs from the first one in more than weights.
    """
    from laft_fairseq import register  # noqa: F401  whose options are checked
    from laft_fairseq.checkpoints.header import HEADER_KEY
    from laft_fairseq.checkpoints.record import NOT_OURS, open_checkpoint
    from laft_fairseq.cli.export import OF_THE_CLOCK
    from laft_fairseq.files import check_output, replacing, save_torch

    if len(args.checkpoints) < 2:
        raise LaftError(f"--checkpoints {args.checkpoints[0]}: a mean takes two or more")
    check_output(args.out, *args.checkpoints)
    opened = [open_checkpoint(path) for path in args.checkpoints]
    records = []
    for checkpoint in opened:
        if checkpoint.header is None:
            raise LaftError(f"{checkpoint.path}: {NOT_OURS}")
        records.append(_record(checkpoint))
        different = [key for key, value in records[0].items() if records[-1].get(key) != value]
        if different:
            raise LaftError(
                f"{checkpoint.path}: its {different[0]} is not that of {opened[0].path}; average "
                "checkpoints of one training"
            )
    content, header = opened[-1].usable_content(), opened[-1].header
    assert header is not None
    content.pop("last_optimizer_state", None)
    for name in OF_THE_CLOCK & set(content.get("extra_state") or ()):
        del content["extra_state"][name]
    criterions = [checkpoint.content.get("criterion") or {} for checkpoint in opened]
    if content.get("criterion"):
        content["criterion"] = _mean(opened, criterions.__getitem__)
    state = _mean(opened, lambda number: opened[number].state)
    content["model"] = state | {HEADER_KEY: header.to_tensor()}
    with replacing(args.out) as temporary:
        save_torch(content, temporary)
    print(f"wrote {args.out}: the mean of {len(opened)} {header.kind} checkpoints, {len(state)} "
          f"tensors, method {header.method}")  # fmt: skip
    return 0


def _record(checkpoint: "Checkpoint") -> dict[str, Any]:
    """Everything but weights that checkpoints of one training share, by name."""
    cfg = checkpoint.usable_content()["cfg"]
    record = {name: value for name, value in vars(checkpoint.header).items() if name not in PATHS}
    for group in ("model", "task"):
        options = cfg.get(group) or {}
        options = vars(options) if isinstance(options, argparse.Namespace) else options
        record |= {f"{group} option {name}": value for name, value in options.items()
                   if name not in PATHS}  # fmt: skip
    for name, tensor in checkpoint.state.items():
        record[f"tensor {name}"] = (tensor.shape, tensor.dtype)
    return record | {"number of tensors": len(checkpoint.state)}


def _mean(
    opened: "Sequence[Checkpoint]", state_of: "Callable[[int], dict[str, Tensor]]"
) -> dict[str, "Tensor"]:
    """Return the mean of each tensor, summed in float64; what is tied stays tied.

    Raises:
        LaftError: language components, or whole numbers, are not the same in all.
    """
    import torch

    states = [state_of(number) for number in range(len(opened))]
    first, means = states[0], dict[str, Any]()
    places: dict[Any, str] = {}
    for name, tensor in first.items():
        others = [state[name] for state in states[1:]]
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if place in places and tensor.numel():
            means[name] = means[places[place]]
        elif not tensor.is_floating_point() or ".language_components." in name:
            for checkpoint, other in zip(opened[1:], others, strict=True):
                if not torch.equal(tensor, other):
                    raise LaftError(
                        f"{checkpoint.path}: its {name} is not that of {opened[0].path}; average "
                        "checkpoints of one training"
                    )
            means[name] = tensor
        else:
            total = tensor.double()
            for other in others:
                total = total + other.double()
            means[name] = (total / len(states)).to(tensor.dtype)
        places.setdefault(place, name)
    return means
