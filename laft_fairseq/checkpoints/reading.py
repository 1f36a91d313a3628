"""Reading a torch file, weights only: nothing in it is ever run."""

import os
import pickle
import re
import zipfile
from argparse import Namespace
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, strided
from torch.nn import Parameter

from laft_fairseq.errors import LaftError

LONGEST_STRING = 1 << 12  # as of a path
CONTROL = re.compile(r"[\x00-\x1f\x7f]|\$\{")  # in no path or tag; nor what omegaconf resolves
HEADER_KEY = "laft.header"  # of a checkpoint's own header, in its model state (header.py)
ORIGIN_KEY = "laft.origin"  # where a checkpoint was read from, added to its model state


class DamagedFileError(LaftError):
    """A file that was cut short or changed since it was written."""


def allow_checkpoint_classes() -> None:
    """Allow torch's reader the classes that fairseq's own checkpoints and broadcasts hold."""
    from fairseq.distributed.utils import _TensorPlaceholder
    from fairseq.logging import meters
    from omegaconf import DictConfig, ListConfig, base, nodes

    plain = [Namespace, defaultdict, dict, list, int, Any]
    configuration = [DictConfig, ListConfig, base.ContainerMetadata, base.Metadata, nodes.AnyNode]
    # Counters, in checkpoints of 2019 such as mbart.cc25.v2, by their module's name then.
    counters = [(getattr(meters, name), f"fairseq.meters.{name}")
                for name in ("AverageMeter", "TimeMeter", "StopwatchMeter")]  # fmt: skip
    torch.serialization.add_safe_globals([*plain, *configuration, *counters, _TensorPlaceholder])


def read_checkpoint(path: str, *, mmap: bool = False) -> dict[str, Any]:
    """Load a torch file to the CPU, weights only; the file is mapped where its format allows.

    Raises:
        DamagedFileError: corrupt or truncated, as the checksums in it say, of files since 2020.
        LaftError: missing, no regular file, or a pickle with anything but tensors and plain
            values in it (nothing of it is run).
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise LaftError(f"{path}: a pipe or a device, no regular file")  # which may never end
    allow_checkpoint_classes()
    try:
        is_zip = zipfile.is_zipfile(path)
        if is_zip:
            _check_sums(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and is_zip)
    except FileNotFoundError:
        raise LaftError(f"{path}: no such checkpoint") from None
    except IsADirectoryError:
        raise LaftError(f"{path}: a folder; name the file in it, such as model.pt") from None
    except pickle.UnpicklingError as error:
        forbidden = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {forbidden.group(1)}" if forbidden else "it may be damaged"
        raise (LaftError if forbidden else DamagedFileError)(
            f"{path}: refused, nothing of it was run: more than weights and plain values is in it "
            f"({reason}); use a file written by fairseq, torch.save or `laft export`"
        ) from None
    except Exception as error:  # what bytes that are no pickle raise in torch's reader is any
        reason = str(error).split("\n")[0][:160] or type(error).__name__
        raise DamagedFileError(
            f"{path}: corrupt or truncated checkpoint ({reason}); fetch it again"
        ) from None
    if not isinstance(state, dict):
        raise LaftError(f"{path}: not a checkpoint: it holds a {type(state).__name__}, not a dict")
    if isinstance(state.get("model"), dict):
        state["model"].pop(ORIGIN_KEY, None)  # for the reader to say, not for the file
    return state


def _check_sums(path: str) -> None:
    """Compare a torch file, a zip archive, with the CRC-32 of each entry, which torch only writes.

    Raises:
        ValueError: an entry is damaged; or any error of zipfile's, where the archive is.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is another")


def text_tensor(text: str) -> Tensor:
    """UTF-8 bytes of ``text`` as a (n,) int32 tensor, so that a state dict can carry it.

    The sum of many, which averages of checkpoints are made of, does not overflow as uint8 would.
    """
    return torch.tensor(list(text.encode("utf-8")), dtype=torch.int32)


def tensor_text(tensor: Tensor) -> str:
    """The inverse of :func:`text_tensor`."""
    return bytes(tensor.tolist()).decode("utf-8")


def checked_tensors(state: Any, path: str) -> dict[str, Tensor]:
    """A copy of a state dict, all of whose entries are plain tensors.

    Raises:
        LaftError: names the file and an entry.
    """
    if not isinstance(state, dict):
        raise LaftError(f"{path}: not a checkpoint of a model: no 'model' with tensors is in it")
    for name, tensor in state.items():
        if not isinstance(name, str) or not is_plain(name):
            raise LaftError(f"{path}: a tensor in it is called {shorten(name)}; it is damaged")
        plain = type(tensor) in (Tensor, Parameter) and tensor.layout is strided
        if not plain or tensor.is_quantized or tensor.is_complex():
            raise LaftError(f"{path}: its {name} is no plain tensor; the file is damaged")
        needed, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        if tensor.is_meta or needed > held:
            raise LaftError(f"{path}: its {name} has no numbers of its own; the file is damaged")
    return dict(state)


def is_plain(text: str) -> bool:
    """Whether a string of a file is of a path's length, on one line, and nothing to resolve."""
    return len(text) <= LONGEST_STRING and not CONTROL.search(text)


def shorten(value: Any) -> str:
    """Show a value in a message: short, on one line."""
    if isinstance(value, str):
        return ascii(value[:60])
    plain = isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 64)
    return str(value) if plain else f"a {type(value).__name__}"
