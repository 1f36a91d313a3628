"""Options of the model that belong to another ``--method`` than the one that is trained."""

from __future__ import annotations

import logging
from argparse import Namespace
from typing import Any

from fairseq.models import ARCH_CONFIG_REGISTRY

from laft_fairseq.method.systems import METHODS, find
from laft_fairseq.models.options import fill_defaults

logger = logging.getLogger(__name__)

# The module without which an option changes nothing. What is removed is fused in again: `removal`
# is that of the rows with a fusion. (Of a components file that is not read the encoder warns.)
MODULES = {
    "removal": "fusion",
    "fusion_input": "fusion",
    "fusion_dim": "fusion",
    "adapter_norm": "language_adapter",
    "language_adapter_dim": "language_adapter",
    "adapter_langs": "language_adapter",
    "task_module_init": "task_module",
    "task_module_layers": "task_module",
    "task_adapter_reduction": "task_adapter",
}


def ignored(args: Any) -> dict[str, str]:
    """Options given away from the architecture's defaults that the method has no use for.

    Args:
        args: fairseq's namespace of the model.

    Returns:
        each as ``--option value``, and the methods that it is for.
    """
    defaults = Namespace()
    ARCH_CONFIG_REGISTRY.get(getattr(args, "arch", ""), fill_defaults)(defaults)
    own, found = find(args.method).modules, {}
    for name, module in MODULES.items():
        value = getattr(args, name)
        if module not in own and value != getattr(defaults, name):
            of = [method for method, row in METHODS.items() if module in row.modules]
            found[f"--{name.replace('_', '-')} {value}"] = " or ".join(of)
    return found


def warn_of_ignored(args: Any) -> None:
    """Log one line that names them, where there are any."""
    found = ignored(args)
    if found:
        named = ", ".join(f"{option} (for {methods})" for option, methods in found.items())
        logger.warning("--method %s: %s change nothing", args.method, named)
