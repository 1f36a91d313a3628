"""Frozen weights cost their file's pages and nothing more; under autocast they are cast once.

A backbone's file is mapped, so a frozen parameter can use the mapped tensor itself. Under bf16
autocast torch casts a frozen fp32 matrix anew in every step, since it remembers casts of trained
weights alone; :class:`Casts` keeps the bf16 copies, which are those casts bit for bit.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from laft_fairseq.errors import LaftError

logger = logging.getLogger(__name__)

MAPS = Path("/proc/self/maps")
ADOPTED = "laft_adopted"  # on a parameter: its state when it took a tensor as its own


def adopt(parameters: Mapping[str, nn.Parameter], source: Mapping[str, Tensor]) -> None:
    """Give each parameter the contents of ``source``; a frozen one shares them where it can.

    Args:
        parameters: by name, on any device.
        source: tensors of the same names and shapes, possibly mapped from a file.

    What is trained is copied, since it will be written to; so is what another device or dtype
    needs. Pages that were read for a copy are given back at once.
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
    """Whether it still is the tensor that it took as its own."""
    return getattr(parameter, ADOPTED, None) == _state(parameter)


def _state(parameter: Tensor) -> tuple[int, int]:
    """Changes whenever the parameter is written to or replaced."""
    return parameter.data_ptr(), parameter._version


class Casts:
    """bf16 copies of a model's frozen linear layers, in the layers' place for a while."""

    def __init__(self) -> None:
        self._copies: dict[nn.Linear, dict[str, tuple[tuple[int, int], Tensor]]] = {}

    @contextlib.contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Within it every frozen fp32 ``nn.Linear`` of ``model`` holds bf16 weights.

        Parameters themselves are untouched, so optimizers and state dicts never meet a copy.
        A matrix that an embedding shares is swapped in the linear layer alone.
        """
        swapped: list[tuple[nn.Linear, str, nn.Parameter]] = []
        try:
            for module in model.modules():
                if isinstance(module, nn.Linear):
                    for name, parameter in list(module._parameters.items()):
                        if parameter is not None and _is_castable(parameter):
                            swapped.append((module, name, parameter))
                            module._parameters[name] = self._copy(module, name, parameter)  # type: ignore[assignment]
            yield
        finally:
            for module, name, parameter in swapped:
                module._parameters[name] = parameter

    def _copy(self, module: nn.Linear, name: str, parameter: nn.Parameter) -> Tensor:
        """The copy of this parameter, made anew where the parameter was written or replaced."""
        state = _state(parameter)
        held = self._copies.setdefault(module, {})
        if name not in held or held[name][0] != state:
            copy = parameter.detach().to(torch.bfloat16)
            release([parameter])
            held[name] = (state, copy)
        return held[name][1]


def _is_castable(parameter: nn.Parameter) -> bool:
    return not parameter.requires_grad and parameter.dtype == torch.float32


@dataclass(frozen=True)
class FileState:
    """A file as it was when it was mapped; written to in place, it would change weights in use."""

    path: str
    inode: int
    size: int
    modified: int  # nanoseconds

    @classmethod
    def of(cls, path: str) -> FileState:
        """The state of the file now."""
        found = os.stat(path)
        return cls(path, found.st_ino, found.st_size, found.st_mtime_ns)

    def check(self) -> None:
        """Nothing where the file is unchanged, gone or another one by now.

        Raises:
            LaftError: the same file was written to.
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
    """Give back the memory of what was adopted from a mapped file; reading it brings it back.

    Nothing happens to any other tensor, to one that was written to since, or where the system
    does not list its mappings.
    """
    for parameter in parameters:
        _release(parameter)


def _release(parameter: nn.Parameter) -> None:
    if is_shared(parameter):
        drop_pages(parameter)


def drop_pages(tensor: Tensor) -> None:
    """Give back the memory of a tensor that is mapped from a file and was never written to.

    Reading it brings it back, from the file. Nothing happens to a tensor that is not mapped.
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
        logger.debug("madvise: error %d; memory is kept", ctypes.get_errno())


def _is_private_file(first: int, last: int) -> bool:
    """Whether [first, last) lies in one private mapping of a file."""
    with MAPS.open() as lines:
        for line in lines:
            span, modes, _, _, inode, *_ = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if begin <= first and last <= end:
                return modes.endswith("p") and inode != "0"
    return False
