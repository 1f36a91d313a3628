"""bf16 autocast where the processor multiplies bf16 matrices fast."""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from laft_fairseq.training.frozen_weights import Casts

# All but cuDNN's, which makes a plan for each new shape, of which batches by size have many.
ALL_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
CHOICES = ("auto", "bf16", "none")


@cache
def cpu_has_bf16() -> bool:
    """Return whether this CPU has bf16 matrix instructions (AVX512-BF16 or AMX)."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return False
    flags = info.read_text(errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags


def wants_bf16(parameter: torch.Tensor, choice: str) -> bool:
    """Return whether a model with this parameter runs under bf16 autocast.

    ``auto`` means on CPUs and CUDA devices with bf16 instructions, not where torch emulates them. A
    model that fairseq already holds in half precision never does.
    """
    if choice == "none" or parameter.dtype != torch.float32:
        return False
    if choice == "bf16":
        return True
    if parameter.device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return parameter.device.type == "cpu" and cpu_has_bf16()


def to_half(model: Any) -> Any:
    """Return the model, converted in place to fp16 on a GPU and to bf16 elsewhere."""
    return model.half() if next(model.parameters()).is_cuda else model.bfloat16()


def autocast(
    model: Any, choice: str, casts: Casts | None = None
) -> contextlib.AbstractContextManager[Any]:
    """Return the context for ``model``'s forward pass and loss; ``casts`` casts frozen weights.

    On a CPU, attention with a backward pass uses plain products in bf16: torch's fused kernel took
    up to three times as long for the mini backbone, forward and backward together, and about as
    long at mBART-large's shape. Without a backward pass the fused kernel is at least four times
    faster: see :func:`frozen_forward`.
    """
    parameter = next(model.parameters())
    if not wants_bf16(parameter, choice):
        return contextlib.nullcontext()
    stack = contextlib.ExitStack()
    stack.enter_context(torch.autocast(parameter.device.type, dtype=torch.bfloat16))
    if parameter.device.type != "cpu":
        stack.enter_context(sdpa_kernel(ALL_KERNELS))
    elif torch.is_grad_enabled():
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
    if casts is not None:
        stack.enter_context(casts.in_place(model))
    return stack


@contextlib.contextmanager
def frozen_forward() -> Iterator[None]:
    """Compute without gradients and with every attention kernel: for a frozen part in autocast."""
    with torch.no_grad(), sdpa_kernel(ALL_KERNELS):
        yield
