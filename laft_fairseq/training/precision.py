"""Matrix products: in bf16 where the processor has it, in fp32 by the library that is faster."""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from laft_fairseq.training.frozen_weights import Casts

# All but cuDNN's, which makes a plan for each new shape, of which batches by size have many.
ALL_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
CHOICES = ("auto", "bf16", "none")
SMALLEST = 1 << 22  # multiplications of a product from which oneDNN is faster than MKL on AMD


def cpu_info() -> str:
    """Return what the system says of its processors, or nothing."""
    info = Path("/proc/cpuinfo")
    return info.read_text(errors="replace") if info.exists() else ""


@cache
def cpu_has_bf16() -> bool:
    """Return whether this CPU has bf16 matrix instructions (AVX512-BF16 or AMX)."""
    return "avx512_bf16" in cpu_info() or "amx_bf16" in cpu_info()


@cache
def mkl_is_slow() -> bool:
    """Return whether torch's fp32 products, by MKL, leave this CPU's vectors half empty: on AMD."""
    slow = "AuthenticAMD" in cpu_info() and "avx512f" in cpu_info()
    return slow and bool(torch.backends.mkldnn.is_available())


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x Wᵀ + b``, by oneDNN where torch's own product is slow and needs no gradient.

    Both compute in fp32 and differ by rounding alone. oneDNN takes less than half of MKL's time on
    AMD processors with AVX512.

    Args:
        x: (..., i).
        weight: (o, i).
        bias: (o,) or None.
    """
    if (
        torch.is_grad_enabled()
        or x.dtype != torch.float32
        or x.device.type != "cpu"
        or x.numel() * len(weight) < SMALLEST
        or torch.is_autocast_enabled("cpu")
        or not mkl_is_slow()
    ):
        return F.linear(x, weight, bias)
    return F.linear(x.to_mkldnn(), weight, bias).to_dense()


class Linear(nn.Linear):
    """torch's linear layer with the product of :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., o) of (..., i)."""
        return linear(x, self.weight, self.bias)


def speed_up(model: nn.Module) -> None:
    """Let the linear layers of a model choose the faster product, in place."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


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
