"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "ve-fairseq", "transformers", "ctranslate2")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def name(cuda: bool = False) -> str:
    """The processor, by its own name, and the accelerator's where that is used."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*:\s*(.*)", text)
    bf16 = "with" if "avx512_bf16" in text or "amx_bf16" in text else "without"
    own = f"{cores()} cores of {model[1] if model else platform.processor()}, {bf16} bf16 products"
    if not cuda:
        return own
    import torch

    return f"{torch.cuda.get_device_name()}, {own}"


def versions() -> dict[str, str]:
    """Python and the packages that are timed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
