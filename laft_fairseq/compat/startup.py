"""What fairseq needs on torch >= 2.6 and Python >= 3.11.

Nothing here loosens torch's weights-only loading: the few harmless classes that fairseq writes into
its checkpoints are allowed by name.
"""

import ctypes
import logging
import os
import platform
import sys
import types
import typing
import warnings

import numpy as np

from laft_fairseq.checkpoints.reading import allow_checkpoint_classes

COMMANDS = {"fairseq_cli", "laft_fairseq.cli.main"}  # modules of a process that is ours
# oneDNN and torch each keep the kernels of the last 1,024 shapes, about 0.3 MB apiece. Batches of
# texts have ever new shapes, so that hardly a kernel serves another update, yet they lie scattered
# between the activations and fragment the heap. Sixteen serve all layers of one update.
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
KERNELS = "16"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt


def decode(stock: typing.Any, encoder: typing.Any, x: str) -> str:
    """Decode as ``--bpe sentencepiece`` does, and byte-fallback subwords (``<0xE4>``) too."""
    return str(encoder.sp.DecodePieces(x.split()) if "<0x" in x else stock(encoder, x))


def quiet_start() -> None:
    """Silence start-up warnings about which a user can do nothing."""
    for name in ("fairseq_cli.train", "fairseq_cli.generate", "fairseq_cli.interactive"):
        # the dump of the whole configuration, nine kilobytes, is no text
        logging.getLogger(name).addFilter(lambda record: isinstance(record.msg, str))
    for module in (r"hydra(\..*)?", r"fairseq(\..*)?", r"torch\.nn\.modules\.transformer"):
        warnings.filterwarnings("ignore", category=UserWarning, module=module)
        warnings.filterwarnings("ignore", category=FutureWarning, module=module)
    for message in (
        r"(?s)\s*'config' is validated against",
        r"'pin_memory' argument is set",
        r"Support for mismatched key_padding_mask",
    ):
        warnings.filterwarnings("ignore", message, category=UserWarning)


def bound_kernel_caches() -> None:
    """Bound both caches of CPU kernels, unless the environment does; they read it when first used.

    With texts of all lengths a training of the mini backbone then holds a third of the memory.
    """
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, KERNELS)


def reuse_freed_blocks() -> None:
    """Make glibc reuse freed blocks of less than 1 GB, unless the environment configures malloc.

    By default it returns those above 32 MB to the system. The page faults when they are allocated
    again took a quarter of stage 1's time. Peak memory is the same.
    """
    configured = any(name.startswith(("GLIBC_TUNABLES", "MALLOC_")) for name in os.environ)
    if not configured and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        # an older glibc takes at most 32 MB, and the next call would leave it at 128 kB
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30) or libc.mallopt(M_MMAP_THRESHOLD, 1 << 25)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def apply() -> None:
    """Apply every patch, once; of a command of fairseq's also its warnings and its last line.

    Where a program imports us, its excepthook, warning filters and allocator are its own.
    """
    if not hasattr(np, "compat"):  # of which fairseq's token blocks still read this
        np.compat = types.SimpleNamespace(long=int)  # type: ignore[attr-defined]
    bound_kernel_caches()
    allow_checkpoint_classes()
    if COMMANDS & sys.modules.keys():
        reuse_freed_blocks()
    if "fairseq_cli" in sys.modules:
        quiet_start()
