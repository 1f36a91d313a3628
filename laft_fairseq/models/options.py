"""The model's options, one for each choice that the paper leaves open."""

import logging
from argparse import Namespace
from dataclasses import dataclass, fields
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import ARCH_CONFIG_REGISTRY

from laft_fairseq.compat.options import option
from laft_fairseq.errors import flag
from laft_fairseq.method.language_adapter import NORMS
from laft_fairseq.method.removal import SCALINGS
from laft_fairseq.method.systems import METHODS, find
from laft_fairseq.method.task_module import INITIALISATIONS

logger = logging.getLogger(__name__)

FUSION_INPUTS = ("subtracted", "mean", "none")
# The module without which an option has no effect. Only systems with a fusion remove anything.
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
    "lora_rank": "lora",
}


@dataclass
class LAFTOptions(FairseqDataclass):
    """Options of ``--arch laft_mbart*``; widths left at their default follow the architecture."""

    method: ChoiceEnum(list(METHODS)) = option("laft", "the system")  # type: ignore[valid-type]
    backbone: Optional[str] = option(None, "model.pt of the pretrained backbone to start from")
    language_components: Optional[str] = option(
        None, "components file written by `laft components`"
    )
    removal: ChoiceEnum(list(SCALINGS)) = option(  # type: ignore[valid-type]
        "scaled",
        "what is removed: c c' e_L / |e_L| as printed (scaled), c c' e_L (projection), the mean "
        "e_L of the components file's sentences (mean), or nothing",
    )
    fusion_input: ChoiceEnum(list(FUSION_INPUTS)) = option(  # type: ignore[valid-type]
        "subtracted",
        "what the fusion sees: the vector subtracted from the row, its language's mean, or no "
        "fusion at all",
    )
    adapter_norm: ChoiceEnum(list(NORMS)) = option(  # type: ignore[valid-type]
        "inside", "where the language adapter's layer norm stands"
    )
    task_module_init: ChoiceEnum(list(INITIALISATIONS)) = option(  # type: ignore[valid-type]
        "identity", "how task module and fusion start"
    )
    task_module_layers: int = option(2, "encoder layers in it")
    fusion_dim: int = option(1024, "bottleneck of the fusion, d_a")
    language_adapter_dim: int = option(
        512, "bottleneck of a language adapter (half the width); 0: no adapters"
    )
    adapter_langs: Optional[str] = option(
        None, "languages that get an adapter (default: those trained on)"
    )
    task_adapter_reduction: int = option(2, "width over bottleneck of the task adapter")
    lora_rank: int = option(
        0, "rank of LoRA's updates; 0: as many parameters as LAFT's task module"
    )
    mask_source_tag: bool = option(False, "the encoder sees <mask> in place of the source's tag")


def options_from(args: Any) -> LAFTOptions:
    """Return the options of fairseq's namespace, defaults where they are absent."""
    known = {f.name: getattr(args, f.name) for f in fields(LAFTOptions) if hasattr(args, f.name)}
    return LAFTOptions(**{name: value for name, value in known.items() if name != "_name"})


def fill_defaults(args: Any, **architecture: Any) -> None:
    """Give ``args`` each option that it lacks: the architecture's value, else the default."""
    for f in fields(LAFTOptions):
        if not hasattr(args, f.name):
            setattr(args, f.name, architecture.get(f.name, f.default))


def warn_of_unused(args: Any) -> None:
    """Log one line that names the given options that ``--method`` has no module for, if any."""
    defaults = Namespace(backbone=args.backbone)  # which has the shape of laft_m2m
    ARCH_CONFIG_REGISTRY.get(getattr(args, "arch", ""), fill_defaults)(defaults)
    unused = []
    for name, module in MODULES.items():
        value = getattr(args, name)
        if module not in find(args.method).modules and value != getattr(defaults, name):
            users = [method for method, system in METHODS.items() if module in system.modules]
            unused.append(f"{flag(name)} {value} (used by {' or '.join(users)})")
    if unused:
        logger.warning("--method %s ignores %s", args.method, ", ".join(unused))
