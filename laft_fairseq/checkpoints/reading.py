"""Reading a torch file, weights only: nothing in it is ever run."""

from __future__ import annotations

import argparse
import collections
import pickle
import re
import typing
import zipfile

import torch

from laft_fairseq.errors import LaftError

ORIGIN_KEY = "laft.origin"  # where a checkpoint was read from, added to its model state


def allow_checkpoint_classes() -> None:
    """Name the classes that fairseq's own checkpoints and broadcasts hold."""
    from fairseq.distributed import utils as distributed_utils
    from fairseq.logging.meters import AverageMeter, StopwatchMeter, TimeMeter
    from omegaconf import DictConfig, ListConfig, base, nodes

    torch.serialization.add_safe_globals(
        [
            argparse.Namespace,
            DictConfig,
            ListConfig,
            base.ContainerMetadata,
            base.Metadata,
            nodes.AnyNode,
            distributed_utils._TensorPlaceholder,
            collections.defaultdict,
            dict,
            list,
            int,
            typing.Any,
            # Counters, in checkpoints of 2019 such as mbart.cc25.v2, by their module's name then.
            *(
                (meter, f"fairseq.meters.{meter.__name__}")
                for meter in (AverageMeter, TimeMeter, StopwatchMeter)
            ),
        ]
    )


def read_checkpoint(path: str, *, mmap: bool = False) -> dict[str, typing.Any]:
    """Load a torch file to the CPU, weights only; the file is mapped where its format allows.

    Raises:
        LaftError: missing, corrupt or truncated file, or a pickle with anything but tensors
            and plain values in it (nothing of it is run).
    """
    allow_checkpoint_classes()
    try:
        mappable = mmap and zipfile.is_zipfile(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)
    except FileNotFoundError:
        raise LaftError(f"{path}: no such checkpoint") from None
    except IsADirectoryError:
        raise LaftError(f"{path}: a folder; name the file in it, such as model.pt") from None
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {forbidden.group(1)}" if forbidden else "it may be damaged"
        raise LaftError(
            f"{path}: refused, nothing of it was run: more than weights and plain values is in it "
            f"({reason}); use a file written by fairseq, torch.save or `laft export`"
        ) from None
    except Exception as error:  # what bytes that are no pickle raise in torch's reader is any
        reason = str(error).split("\n")[0][:160]
        raise LaftError(
            f"{path}: corrupt or truncated checkpoint ({reason}); fetch it again"
        ) from None
    if not isinstance(state, dict):
        raise LaftError(f"{path}: not a checkpoint: it holds a {type(state).__name__}, not a dict")
    return state


def text_tensor(text: str) -> torch.Tensor:
    """UTF-8 bytes of ``text`` as a (n,) uint8 tensor, so that a state dict can carry it."""
    return torch.tensor(list(text.encode("utf-8")), dtype=torch.uint8)


def tensor_text(tensor: torch.Tensor) -> str:
    """The inverse of :func:`text_tensor`."""
    return bytes(tensor.tolist()).decode("utf-8")
