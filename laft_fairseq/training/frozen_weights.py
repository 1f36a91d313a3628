"""Frozen weights are used from the mapped file; under autocast they are cast once.

A backbone's file is mapped, so that a frozen parameter can use the mapped tensor itself. Under bf16
autocast torch casts a frozen fp32 matrix again in every step, as it caches casts of trained weights
only; :class:`Casts` keeps the bf16 copies, which are those casts bit for bit.
"""

import contextlib
import ctypes
import logging
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from laft_fairseq.errors import LaftError

logger = logging.getLogger(__name__)

MAPS = Path("/proc/self/maps")
ADOPTED = "laft_adopted"  # a parameter's attribute: its state when it began to share a tensor


def adopt(parameters: Mapping[str, nn.Parameter], source: Mapping[str, Tensor]) -> None:
    """Give each parameter the contents of ``source``; a frozen one shares its memory if possible.

    A trained parameter gets a copy, as it will be written to; so does one of another device or
    dtype. Pages of a mapped file that were read for a copy are released at once.
    """
    with torch.no_grad():
        for name, parameter in parameters.items():
            tensor = source[name]
            same = tensor.dtype == parameter.dtype and tensor.device == parameter.device
            if tensor is parameter or (same and tensor.data_ptr() == parameter.data_ptr()):
                continue
            if parameter.requires_grad or not same or not tensor.is_contiguous():
                parameter.copy_(tensor)
                drop_pages(tensor)
            else:
                parameter.data = tensor.detach()
                setattr(parameter, ADOPTED, _state(parameter))


def is_shared(parameter: Tensor) -> bool:
    """Return whether the parameter still shares the tensor that it adopted."""
    return getattr(parameter, ADOPTED, None) == _state(parameter)


def _state(parameter: Tensor) -> tuple[int, int]:
    """Return what changes whenever the parameter is written to or replaced."""
    return parameter.data_ptr(), parameter._version


class Casts:
    """bf16 copies of the weights of a model's frozen linear layers."""

    def __init__(self) -> None:
        self._copies: dict[nn.Linear, dict[str, tuple[tuple[int, int], Tensor]]] = {}

    @contextlib.contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Swap the copies in: in the context every frozen fp32 ``nn.Linear`` has bf16 weights.

        Parameters themselves are untouched, so that optimizers and state dicts never see a copy. A
        matrix that an embedding shares is swapped in the linear layer alone.
        """
        swapped: list[tuple[nn.Linear, str, nn.Parameter]] = []
        try:
            for module in (m for m in model.modules() if isinstance(m, nn.Linear)):
                for name, parameter in list(module._parameters.items()):
                    if parameter is None or parameter.requires_grad:
                        continue
                    if parameter.dtype == torch.float32:
                        swapped.append((module, name, parameter))
                        module._parameters[name] = self._copy(module, name, parameter)  # type: ignore[assignment]
            yield
        finally:
            for module, name, parameter in swapped:
                module._parameters[name] = parameter

    def _copy(self, module: nn.Linear, name: str, parameter: nn.Parameter) -> Tensor:
        """Return the copy, made again where the parameter was written to or replaced."""
        state = _state(parameter)
        held = self._copies.setdefault(module, {})
        if name not in held or held[name][0] != state:
            copy = parameter.detach().to(torch.bfloat16)
            release([parameter])
            held[name] = (state, copy)
        return held[name][1]


@dataclass(frozen=True)
class FileState:
    """A file as it was when it was mapped: written to in place, it would change weights in use."""

    path: str
    inode: int
    size: int
    modified: int  # nanoseconds

    @classmethod
    def of(cls, path: str) -> Self:
        """Return the state of the file now."""
        status = os.stat(path)
        return cls(path, status.st_ino, status.st_size, status.st_mtime_ns)

    def check(self) -> None:
        """Check that the file was not written to; it may be gone or replaced by another one.

        Raises:
            LaftError: it was written to.
        """
        if not os.path.exists(self.path):
            return
        now = FileState.of(self.path)
        if now.inode == self.inode and now != self:
            raise LaftError(
                f"{self.path}: the backbone was written to while it was in use, so the weights "
                "are not to be trusted; restore the file and resume from the last checkpoint"
            )


def release(parameters: Iterable[nn.Parameter]) -> None:
    """Release the memory of the parameters that still share a mapped file's tensors."""
    for parameter in filter(is_shared, parameters):
        drop_pages(parameter)


def drop_pages(tensor: Tensor) -> None:
    """Release the memory of a tensor that is mapped from a file and was never written to.

    The next read brings it back from the file. Nothing happens to a tensor that is not mapped, or
    where the system does not list its mappings.
    """
    if not MAPS.exists() or tensor.device.type != "cpu":
        return
    start, size = tensor.data_ptr(), tensor.numel() * tensor.element_size()
    page = mmap.PAGESIZE
    first, last = -(-start // page) * page, (start + size) // page * page  # whole pages inside
    if last <= first or not _is_private_file(first, last):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED):
        logger.debug("madvise failed with error %d; the memory is kept", ctypes.get_errno())


def _is_private_file(first: int, last: int) -> bool:
    """Return whether [first, last) lies in one private mapping of a file."""
    with MAPS.open() as lines:
        for line in lines:
            span, modes, _, _, inode, *_ = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if begin <= first and last <= end:
                return modes.endswith("p") and inode != "0"
    return False
