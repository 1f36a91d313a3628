"""Model options that the trained ``--method`` does not use."""

from __future__ import annotations

import logging
from argparse import Namespace
from typing import Any

from fairseq.models import ARCH_CONFIG_REGISTRY

from laft_fairseq.method.systems import METHODS, find
from laft_fairseq.models.options import fill_defaults

logger = logging.getLogger(__name__)

# The module without which an option has no effect. Only systems with a fusion remove anything.
# (The encoder warns of a components file that is not read.)
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


def unused_options(args: Any) -> dict[str, str]:
    """Return the options that differ from the architecture's defaults and have no effect.

    Args:
        args: fairseq's namespace of the model.

    Returns:
        each as ``--option value``, with the methods that use it.
    """
    defaults = Namespace()
    ARCH_CONFIG_REGISTRY.get(getattr(args, "arch", ""), fill_defaults)(defaults)
    modules, unused = find(args.method).modules, {}
    for name, module in MODULES.items():
        value = getattr(args, name)
        if module not in modules and value != getattr(defaults, name):
            methods = [method for method, system in METHODS.items() if module in system.modules]
            unused[f"--{name.replace('_', '-')} {value}"] = " or ".join(methods)
    return unused


def warn_of_unused(args: Any) -> None:
    """Log one line that names the options without effect, if there are any."""
    options = unused_options(args)
    if options:
        named = ", ".join(f"{option} (used by {methods})" for option, methods in options.items())
        logger.warning("--method %s ignores %s", args.method, named)
